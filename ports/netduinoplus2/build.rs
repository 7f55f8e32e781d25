//! Tells the linker where the memories are, for builds for the board.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-T{folder}/link/netduinoplus2.x");
    }
}
