//! Packages of another Debian release, got with apt's own client and a configuration that leaves the system's alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Task;

/// What to get.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Source,
    Binary,
}

/// A configuration of apt for one Debian release.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// The configuration, below `folder`, for a release on the mirror that the machine uses.
    pub(crate) fn new(folder: &Path, kind: Kind, suite: &str) -> Result<Self, String> {
        let mirror = mirror().ok_or("no Debian mirror in apt's sources")?;
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part)
                .map_err(|error| format!("{} cannot be made: {error}", part.display()))?;
        }
        let list = folder.join("sources.list");
        let kind = match kind {
            Kind::Source => "deb-src",
            Kind::Binary => "deb",
        };
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        fs::write(&list, format!("{kind} [signed-by={keyring}] {mirror} {suite} main\n"))
            .map_err(|error| format!("{} cannot be written: {error}", list.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// `apt-get` with this configuration; what it downloads comes to `directory`.
    pub(crate) fn get(&self, directory: &Path) -> Task {
        let mut task =
            Task::new("apt-get").directory(directory).limit(Duration::from_secs(600)).arguments(["-q"]);
        for option in [
            format!("Dir::Etc::sourcelist={}", self.folder.join("sources.list").display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", self.folder.join("lists").display()),
            format!("Dir::Cache={}", self.folder.join("cache").display()),
            "Dir::Etc::preferences=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            "APT::Get::List-Cleanup=0".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            task = task.arguments(["-o", &option]);
        }
        task
    }
}

/// The first Debian mirror of the machine's apt sources, in either of apt's formats.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let words: Vec<String> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    words.into_iter().find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
}
