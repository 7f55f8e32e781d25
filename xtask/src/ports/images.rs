//! What an emulated device is given to verify: images of application cores, and an object store with their owner's key.

use super::Fault;
use crate::command::Task;
use crate::{Context, tools};
use std::fs;
use std::path::{Path, PathBuf};

/// The files.
pub(super) struct Images {
    /// The object store, as the port mounts it.
    pub(super) objects: PathBuf,
    /// The image as its owner has signed it.
    pub(super) good: PathBuf,
    /// The same with another last byte.
    pub(super) changed: PathBuf,
}

/// The object that the ports' tables name (`images::KEY`).
const OBJECTS: &str = "[[object]]\nid = 0xFE81\naccess = 0\nlabel = \"owner of the application\"\n\
                       flags = [\"verify\", \"nonmodifiable\", \"nondestroyable\"]\nfile = \"owner.der\"\n";

/// Makes them in `folder`, for a store in flash with this erased byte and partitions of this size.
pub(super) fn make(
    context: &Context,
    folder: &Path,
    erased_byte: &str,
    partition_size: &str,
) -> Result<Images, Fault> {
    if Task::new("openssl").arguments(["version"]).query().is_none() {
        tools::install(&["openssl"]).map_err(Fault::Missing)?;
    }
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    };
    let path = |name: &str| folder.join(name);
    let (private, payload, table) = (path("owner.pem"), path("application.bin"), path("objects.toml"));
    let images = Images {
        objects: path("objects.image"),
        good: path("application.image"),
        changed: path("changed.image"),
    };
    Task::new("openssl")
        .arguments(["genpkey", "-algorithm", "ed25519", "-out"])
        .arguments([&private])
        .run()?;
    Task::new("openssl")
        .arguments(["pkey", "-pubout", "-outform", "DER", "-in"])
        .arguments([&private])
        .arguments(["-out".as_ref(), path("owner.der").as_path()])
        .run()?;
    let code: Vec<u8> = (0..10_000_u32).map(|at| at.wrapping_mul(7).to_le_bytes()[0]).collect();
    write(&payload, &code)?;
    write(&table, OBJECTS.as_bytes())?;
    let casemate = |words: &[&str]| {
        Task::cargo(context)
            .arguments(["run", "--quiet", "--package", "casemate-cli"])
            .locked(context)
            .arguments(["--"])
            .arguments(words)
    };
    casemate(&["image", "sign", "--method", "ed25519", "--wolfboot", "1", "--key"])
        .arguments([&private, &payload])
        .arguments(["--out".as_ref(), images.good.as_path()])
        .run()?;
    casemate(&["nvm", "build", "--force", "--checksums", "--objects", "32", "--erased-byte", erased_byte])
        .arguments(["--partition-size", partition_size])
        .arguments([&table])
        .arguments(["--out".as_ref(), images.objects.as_path()])
        .run()?;
    let mut bytes = fs::read(&images.good).map_err(|error| format!("{}: {error}", images.good.display()))?;
    match bytes.last_mut() {
        Some(last) => *last ^= 1,
        None => return Err(Fault::Failed("the signed image is empty".to_owned())),
    }
    write(&images.changed, &bytes)?;
    Ok(images)
}

/// Whether a device with the good image has released its application cores, and one with another image, or with none, has not.
///
/// `boot` runs a device with an image until it says that they are released or that it is in its safe state, and answers what it
/// has said; `released` and `refused` are these lines.
pub(super) fn decide(
    images: &Images,
    released: &str,
    refused: &str,
    boot: impl Fn(Option<&Path>) -> Result<String, String>,
) -> Result<(), String> {
    let cases = [
        ("the signed image", Some(images.good.as_path()), true),
        ("a changed image", Some(images.changed.as_path()), false),
        ("no image", None, false),
    ];
    for (name, image, is_good) in cases {
        let output = boot(image)?;
        if output.contains(released) != is_good || output.contains(refused) == is_good {
            return Err(format!("with {name}, the device said:\n{output}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_takes_any_image_is_found() {
        let images = Images {
            objects: PathBuf::new(),
            good: PathBuf::from("good"),
            changed: PathBuf::from("changed"),
        };
        let judge = |image: Option<&Path>| {
            let is_good = image == Some(Path::new("good"));
            Ok(if is_good { "started\nreleased\n" } else { "started\nsafe: image 0\n" }.to_owned())
        };
        assert!(decide(&images, "released", "safe: image", judge).is_ok());
        assert!(decide(&images, "released", "safe: image", |_| Ok("released\n".to_owned())).is_err());
        assert!(decide(&images, "released", "safe: image", |_| Ok("safe: image 0\n".to_owned())).is_err());
        assert!(decide(&images, "released", "safe: image", |_| Ok(String::new())).is_err());
        assert!(decide(&images, "released", "safe: image", |_| Err("it broke".to_owned())).is_err());
    }
}
