//! `cargo xtask new-port NAME`: makes `ports/NAME` from the skeleton.

use std::fs;
use std::path::Path;

use crate::Context;

/// Files of the skeleton that a port begins with. Its test is left out: it says that everything is missing.
const FILES: &[&str] = &[
    "Cargo.toml",
    "examples/conformance.rs",
    "src/crypto.rs",
    "src/device.rs",
    "src/entropy.rs",
    "src/flash.rs",
    "src/lib.rs",
    "src/subject.rs",
    "src/transport.rs",
];

/// Makes the port; the error says why not.
pub(crate) fn new_port(context: &Context, name: &str) -> Result<(), String> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins
        || !name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
    {
        return Err(format!("`{name}` is no name for a port: use lower-case letters, digits and hyphens"));
    }
    let ports = context.root.join("ports");
    let (skeleton, port) = (ports.join("skeleton"), ports.join(name));
    if port.exists() {
        return Err(format!("{} exists already", port.display()));
    }
    for file in FILES {
        let from = skeleton.join(file);
        let text = fs::read_to_string(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        write(&port.join(file), &renamed(&text, name))?;
    }
    println!("ports/{name} is there, a member of the workspace. What it lacks:\n");
    println!("    cargo run -p casemate-{name} --example conformance\n");
    println!("docs/porting.md says what comes next; `cargo xtask ports {name}` builds it for a device too.");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// The skeleton's text under another name.
fn renamed(text: &str, name: &str) -> String {
    text.replace("casemate-skeleton", &format!("casemate-{name}"))
        .replace("casemate_skeleton", &format!("casemate_{}", name.replace('-', "_")))
        .replace("NAME: &'static str = \"skeleton\"", &format!("NAME: &'static str = \"{name}\""))
        .replace(
            "description = \"Where a port begins: every function of the porting interface with its contract, and no hardware yet\"",
            &format!("description = \"The {name} port\""),
        )
        .replace("//! Where a port begins. Every", &format!("//! The {name} port, as the skeleton left it. Every"))
        .replace("`cargo xtask new-port NAME` makes `ports/NAME` from this. Fill in", "Fill in")
        // Hardware is reached with unsafe code, in one leaf module that allows it.
        .replace("#![forbid(unsafe_code)]", "#![deny(unsafe_code)]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_skeleton_is_copied_or_its_test() {
        let skeleton = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ports/skeleton");
        let mut found = Vec::new();
        for folder in ["", "src", "examples"] {
            for entry in fs::read_dir(skeleton.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    found.push(path.strip_prefix(&skeleton).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES);
    }

    #[test]
    fn a_new_port_has_no_trace_of_the_skeletons_name() {
        let root = std::env::temp_dir().join(format!("casemate-new-port-{}", std::process::id()));
        let skeleton = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ports/skeleton");
        for file in FILES {
            write(&root.join("ports/skeleton").join(file), &fs::read_to_string(skeleton.join(file)).unwrap())
                .unwrap();
        }
        let context = Context { root: root.clone(), target: root.join("target"), ci: false };
        new_port(&context, "my-chip2").unwrap();
        let manifest = fs::read_to_string(root.join("ports/my-chip2/Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"casemate-my-chip2\""));
        let mut all = String::new();
        for file in FILES {
            all += &fs::read_to_string(root.join("ports/my-chip2").join(file)).unwrap();
        }
        assert!(
            all.contains("casemate_my_chip2::Firmware") && all.contains("NAME: &'static str = \"my-chip2\"")
        );
        assert!(!all.contains("forbid(unsafe_code)"), "a leaf module for the hardware could not allow it");
        assert!(!all.contains("casemate_skeleton") && !all.contains("casemate-skeleton"));
        assert!(new_port(&context, "my-chip2").unwrap_err().contains("exists already"));
        for name in ["", "2chip", "My", "a/b", "..", "a_b"] {
            assert!(new_port(&context, name).unwrap_err().contains("no name for a port"), "{name}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
