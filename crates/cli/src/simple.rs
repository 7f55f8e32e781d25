//! Commands of one request: info, echo, random.

use crate::connection::{Connection, Hsm};
use crate::value::{Form, say};
use anyhow::{Result, bail};
use casemate_protocol::message::comm::InfoResponse;
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;
use zeroize::Zeroizing;

/// Show a server's configuration
///
/// Shows what the server says of itself: packet size, key cache, object store, versions. A server that cannot be
/// reached is an error, so this also tests whether one runs.
#[derive(Args)]
pub(crate) struct Info {
    #[command(flatten)]
    connection: Connection,
}

impl Info {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        let info = hsm.info()?;
        // The original answers this too, but a server without a store refuses.
        let space = hsm.nvm_available().ok();
        hsm.close()?;
        let text = |bytes: &[u8]| {
            bytes.split(|&byte| byte == 0).next().unwrap_or_default().escape_ascii().to_string()
        };
        let InfoResponse { data_length, nvm_object_count, .. } = info;
        let slots = |count: u32, size: u32| format!("{count} of {size} bytes");
        let mut lines = vec![
            ("Server", self.connection.server.clone()),
            ("Version", text(&info.version)),
            ("Build", text(&info.build)),
            ("Packet data length", format!("{data_length} bytes")),
            ("Small cache slots", slots(info.cache_slots, info.cache_slot_size)),
            ("Big cache slots", slots(info.big_cache_slots, info.big_cache_slot_size)),
            ("Object store", format!("{nvm_object_count} objects at most")),
        ];
        if let Some(space) = space {
            lines.push(("Free", format!("{} bytes, {} objects", space.free_size, space.free_objects)));
        }
        for (name, value) in lines {
            say(format_args!("{name:<20}{value}"))?;
        }
        Ok(())
    }
}

/// Have a server repeat a text, to see that it answers
///
/// Sends a text to the server and prints what comes back, which is checked to be the same.
#[derive(Args)]
pub(crate) struct Echo {
    /// The text
    #[arg(default_value = "Hello")]
    text: String,
    #[command(flatten)]
    connection: Connection,
}

impl Echo {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        let start = Instant::now();
        let answer = hsm.echo(self.text.as_bytes())?.to_vec();
        let took = start.elapsed();
        hsm.close()?;
        eprintln!("{} bytes and back in {} µs", answer.len(), took.as_micros());
        say(String::from_utf8_lossy(&answer))
    }
}

/// Get random bytes
///
/// Prints random bytes from the server's generator, in hexadecimal unless told otherwise.
#[derive(Args)]
pub(crate) struct Random {
    /// How many bytes
    #[arg(value_name = "BYTES", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    count: u32,
    #[command(flatten)]
    form: Form,
    /// Write to a file instead (as they are, unless --hex or --base64 is given)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Random {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(self.count)?]);
        fill(&mut hsm, &mut bytes)?;
        hsm.close()?;
        self.form.write(&bytes, self.out.as_deref(), true)
    }
}

fn fill(hsm: &mut Hsm, bytes: &mut [u8]) -> Result<()> {
    if let Err(error) = hsm.random(bytes) {
        bail!("the server gave no random bytes: {error}");
    }
    Ok(())
}
