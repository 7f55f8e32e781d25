//! A server in a process of its own.

use super::Memory;
use crate::connection::{Hsm, TlsOptions, connect};
use crate::local::Setup;
use anyhow::{Context, Result, bail};
use casemate_client::NewKey;
use casemate_protocol::ClientId;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How many clients the memory of one is taken from.
const CLIENTS: usize = 50;

/// `casemate serve`, with objects in RAM and everything else by default. It ends with this value.
pub(crate) struct ServerProcess {
    child: Child,
    /// Of its TCP port.
    pub(crate) address: String,
    /// Of its Unix-domain socket, in a directory that ends with this value.
    pub(crate) unix: String,
    _directory: TempDir,
    /// Of its shared memory.
    pub(crate) shm: String,
}

impl ServerProcess {
    /// Several at once have different numbers.
    pub(crate) fn start(number: usize) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's file")?;
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let socket = directory.path().join("socket");
        let name = format!("casemate-bench-{}-{number}", std::process::id());
        let mut child = Command::new(program)
            .args(["serve", "--quiet", "--nvm", "ram", "--connections", "200", "--tcp", "127.0.0.1:0"])
            .args(["--shm", &name, "--unix"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stderr.take().context("its output cannot be read")?;
        let mut lines = BufReader::new(output).lines();
        let unix = format!("unix://{}", socket.display());
        let shm = format!("shm://{name}");
        let mut server = Self { child, address: String::new(), unix, _directory: directory, shm };
        let mut said = Vec::new();
        for line in &mut lines {
            let line = line?;
            if let Some((_, address)) = line.split_once(" listens on ") {
                if server.address.is_empty() {
                    server.address = address.trim().to_owned();
                }
                // The last one that it names.
                if address.trim() != server.shm {
                    continue;
                }
                // Whatever it says later has to go somewhere.
                thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok(server);
            }
            said.push(line);
        }
        bail!("it ended: {}", said.join("; "));
    }

    /// How much the server's memory grows with each connected client; `None` where that cannot be told.
    pub(crate) fn memory(&self, timeout: Duration) -> Result<Option<Memory>> {
        let Some(before) = self.resident() else { return Ok(None) };
        let data_length = Setup::default().config.data_length;
        let mut clients: Vec<Hsm> = Vec::with_capacity(CLIENTS);
        for number in 0..CLIENTS {
            let mut hsm = connect(&self.address, &TlsOptions::default(), data_length, timeout)?;
            let id = u32::try_from(number % usize::from(ClientId::MAX))? + 1;
            hsm.init(ClientId::new(id).context("client identifiers are 1 to 15")?)?;
            clients.push(hsm);
        }
        let per_client = |now: u64| now.saturating_sub(before) / CLIENTS as u64;
        let Some(idle) = self.resident().map(per_client) else { return Ok(None) };
        let shape = Setup::default().cache;
        let data = vec![0x5A; data_length];
        for hsm in &mut clients {
            hsm.echo(&data)?;
            for (slots, size) in [(shape.small_slots, shape.small_size), (shape.big_slots, shape.big_size)] {
                // As large as fits both a slot and a packet.
                let key = vec![0x5A; size.min(data_length - 40)];
                for _ in 0..slots {
                    hsm.key_cache(&NewKey::default(), &key)?;
                }
            }
        }
        let Some(busy) = self.resident().map(per_client) else { return Ok(None) };
        for mut hsm in clients {
            hsm.close()?;
        }
        Ok(Some(Memory { clients: CLIENTS, idle, busy }))
    }

    /// Its memory in bytes, as the operating system counts it, without the pages of its program: how many of those are there
    /// depends on what else the machine does.
    fn resident(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It holds nothing that could be lost; if it is asked to end, it removes the name of its shared memory.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
