//! Tells the linker where the memories are, for the bare machine, and what a module offers.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link");
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let everything = ["EVERYTHING", "CONFORMANCE"]
        .iter()
        .any(|feature| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some());
    let target = (env::var("CARGO_CFG_TARGET_ARCH"), env::var("CARGO_CFG_TARGET_OS"));
    match (target.0.as_deref(), target.1.as_deref()) {
        (Ok("powerpc"), Ok("none")) => {
            let map = if everything { "emulated-large" } else { "emulated" };
            println!("cargo::rustc-link-search={folder}/link");
            println!("cargo::rustc-link-arg-bins=-T{map}.x");
        }
        (Ok("wasm32"), _) => {
            let stack = if everything { 1024 * 1024 } else { 64 * 1024 };
            for argument in ["--export=casemate_run", "--gc-sections", "--strip-all", "--stack-first"] {
                println!("cargo::rustc-link-arg-bins={argument}");
            }
            println!("cargo::rustc-link-arg-bins=-zstack-size={stack}");
        }
        _ => {}
    }
}
