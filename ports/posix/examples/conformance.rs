//! Runs the conformance suite on this port, with flash in RAM and with flash in a file, and prints its reports:
//! `cargo run -p casemate-posix --example conformance`.

use casemate_conformance::run;
use casemate_port::Port;
use casemate_posix::device::{LINKS, Outside, PosixPort};
use casemate_posix::flash::{FileFlash, FileFlashOptions};
use casemate_posix::ram_flash::RamChip;
use casemate_server::Config;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Standard output.
struct Output;

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

const PARTITION: u32 = 8192;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let outside = Outside { socket: folder.path().join("socket"), config: Config::default() };

    println!("flash in RAM");
    let chip = RamChip::new(PARTITION as usize);
    let in_ram = run::<PosixPort<RamChip>, LINKS>(
        &mut || {
            PosixPort::new(chip.clone(), &outside)
                .expect("a port to listen on")
                .with_power_cuts(|chip, changes| chip.cut_power_after(changes), |chip| chip.restore_power())
        },
        &mut Output,
    );

    println!("flash in a file");
    let path = folder.path().join("flash");
    let options = FileFlashOptions { partition_size: PARTITION, erased_byte: 0xFF };
    let in_file = run::<PosixPort<FileFlash>, LINKS>(
        &mut || {
            let flash = FileFlash::open(&path, options).expect("a file to keep flash in");
            PosixPort::new(flash, &outside).expect("a port to listen on")
        },
        &mut Output,
    );
    println!("{}: flash in RAM: {in_ram}", PosixPort::<RamChip>::NAME);
    println!("{}: flash in a file: {in_file}", PosixPort::<FileFlash>::NAME);
    Ok(ExitCode::from(u8::from(!(in_ram.is_complete() && in_file.is_complete()))))
}
