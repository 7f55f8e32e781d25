//! Tells the linker where the memories are, for builds for the HSM core.

#[path = "src/memory_map.rs"]
#[allow(dead_code, unreachable_pub)]
mod memory_map;

use memory_map::{CURRENT, MemoryMap};
use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=link");
    println!("cargo::rerun-if-changed=src/memory_map.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::write(folder.join("memory.x"), script(&CURRENT)) {
        panic!("memory.x cannot be written to {}: {error}", folder.display());
    }
    println!("cargo::rustc-link-search={}", folder.display());
    println!("cargo::rustc-link-search={}/link", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    println!("cargo::rustc-link-arg-bins=-Tsections.x");
    // Functions of the same code once: declined operations of drivers, copies for several types. An option of `rust-lld`.
    println!("cargo::rustc-link-arg-bins=--icf=all");
}

fn script(map: &MemoryMap) -> String {
    let MemoryMap { program, ram, bridge, data_flash, applications } = map;
    let mut text = String::from("MEMORY\n{\n");
    let regions = [
        ("FLASH", program),
        ("RAM", ram),
        // The program reaches these by their addresses.
        ("BRIDGE", bridge),
        ("DATA_FLASH", data_flash),
        ("APPLICATIONS", applications),
    ];
    for (name, region) in regions {
        text += &format!("    {name} : ORIGIN = {:#x}, LENGTH = {:#x}\n", region.start, region.length);
    }
    text + "}\n"
}
