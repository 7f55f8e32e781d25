//! Tells the linker where the memories are, for the bare machine, and what a module offers.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link");
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    // Configuration d, which everything includes, has more variables and a deeper stack than the HSM has RAM.
    let is_large = env::var_os("CARGO_FEATURE_CONFIG_D").is_some();
    let everything = env::var_os("CARGO_FEATURE_EVERYTHING").is_some();
    let target = (env::var("CARGO_CFG_TARGET_ARCH"), env::var("CARGO_CFG_TARGET_OS"));
    match (target.0.as_deref(), target.1.as_deref()) {
        (Ok("powerpc"), Ok("none")) => {
            let map = if is_large { "emulated-large" } else { "emulated" };
            println!("cargo::rustc-link-search={folder}/link");
            println!("cargo::rustc-link-arg-bin=spc58nn-firmware=-T{map}.x");
            // Functions of the same code once. An option of `rust-lld`.
            println!("cargo::rustc-link-arg-bin=spc58nn-firmware=--icf=all");
            // The suite takes more memory than the device has: it switches the device on again and again.
            if env::var_os("CARGO_FEATURE_CONFORMANCE").is_some() {
                println!("cargo::rustc-link-arg-bin=spc58nn-conformance=-Temulated-large.x");
            }
        }
        (Ok("wasm32"), _) => {
            let stack = if everything { 1024 * 1024 } else { 64 * 1024 };
            for argument in ["--export=casemate_run", "--gc-sections", "--strip-all", "--stack-first"] {
                println!("cargo::rustc-link-arg-bins={argument}");
            }
            if env::var_os("CARGO_FEATURE_CONFORMANCE").is_some() {
                println!("cargo::rustc-link-arg-bins=--export=casemate_check");
            }
            println!("cargo::rustc-link-arg-bins=-zstack-size={stack}");
        }
        _ => {}
    }
}
