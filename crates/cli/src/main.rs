//! The program `casemate`: an HSM server, a client for the command line, a demonstration and a benchmark.
#![forbid(unsafe_code)]

mod audit;
mod backup;
mod bench;
mod certificate;
mod certify;
mod compare;
mod configuration;
mod connection;
mod counter;
mod demo;
mod image;
mod init;
mod kek;
mod key;
mod local;
mod notify;
mod nvm;
mod pem;
mod pin;
mod serve;
mod she;
mod simple;
mod stateful;
mod table;
mod top;
mod user;
mod users;
mod value;

use clap::{Parser, Subcommand};
use std::io;
use std::process::ExitCode;

/// A hardware security module as software: a server that keeps keys and uses them, and never hands
/// out one that is marked as nonexportable; and the client that asks it.
///
/// It speaks the protocol of wolfHSM 1.5, so its server takes wolfHSM's clients, and its client
/// commands work on wolfHSM's servers.
///
/// Try it:
///
///   casemate demo                      see what it can do, in a second
///   casemate serve --nvm keys.image    run a server that keeps its keys in a file
///
/// And while that runs, in another terminal:
///
///   casemate key generate --length 32 --usage encrypt,decrypt --label backup
///   casemate key list
#[derive(Parser)]
#[command(
    name = "casemate",
    version,
    verbatim_doc_comment,
    max_term_width = 100,
    after_help = "Exit status: 0 success, 1 failure, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// Each command is described where it is defined.
#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Init(Box<init::Init>),
    Demo(demo::Demo),
    Info(simple::Info),
    Echo(simple::Echo),
    Key(Box<key::Key>),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Nvm(nvm::Nvm),
    Counter(counter::Counter),
    Cert(certificate::Cert),
    User(user::User),
    She(Box<she::She>),
    Stateful(stateful::StatefulCommand),
    Random(simple::Random),
    Image(image::Image),
    Audit(audit::Audit),
    Top(top::Top),
    Bench(bench::Bench),
    Compare(Box<compare::Compare>),
}

fn main() -> ExitCode {
    let result = configuration::parse(std::env::args_os().collect()).and_then(Arguments::run);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(command) => command.run(),
            Command::Init(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Info(command) => command.run(),
            Command::Echo(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::Nvm(command) => command.run(),
            Command::Counter(command) => command.run(),
            Command::Cert(command) => command.run(),
            Command::User(command) => command.run(),
            Command::She(command) => command.run(),
            Command::Stateful(command) => command.run(),
            Command::Random(command) => command.run(),
            Command::Image(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::Top(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Compare(command) => command.run(),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
