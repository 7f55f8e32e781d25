//! `casemate counter`.

use crate::connection::Connection;
use crate::value::{counter_number, say};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};

/// Work with monotonic counters
///
/// Monotonic counters: numbers of 32 bits that survive a restart of the server. Each client has its own, numbered
/// from 1 to 255. At 4294967295 a counter stays where it is.
#[derive(Args)]
pub(crate) struct Counter {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Action {
    /// Create a counter, or set one that exists
    Init {
        /// The counter, 1 to 255
        #[arg(value_parser = counter_number)]
        id: u8,
        /// Its value
        #[arg(default_value_t = 0)]
        value: u32,
    },
    /// Add one, and print the new value
    Increment {
        /// The counter, 1 to 255
        #[arg(value_parser = counter_number)]
        id: u8,
    },
    /// Print the value
    Read {
        /// The counter, 1 to 255
        #[arg(value_parser = counter_number)]
        id: u8,
    },
    /// Remove a counter; it is no error if there is none
    Destroy {
        /// The counter, 1 to 255
        #[arg(value_parser = counter_number)]
        id: u8,
    },
}

impl Counter {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        let (id, value) = match self.action {
            Action::Init { id, value } => (id, hsm.counter_init(id, value).map(Some)),
            Action::Increment { id } => (id, hsm.counter_increment(id).map(Some)),
            Action::Read { id } => (id, hsm.counter_read(id).map(Some)),
            Action::Destroy { id } => (id, hsm.counter_destroy(id).map(|()| None)),
        };
        let value = value.with_context(|| format!("counter {id} of client {}", self.connection.client))?;
        hsm.close()?;
        value.map_or(Ok(()), say)
    }
}
