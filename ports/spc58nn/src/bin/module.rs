//! The same server application as a WebAssembly module, from which C source is made for compilers that know the encoding of
//! the HSM core: README.md, "VLE".
#![cfg_attr(target_arch = "wasm32", no_std, no_main)]

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this is a module: build it with --target wasm32v1-none");
    std::process::exit(2);
}

#[cfg(target_arch = "wasm32")]
#[path = "../emulation.rs"]
mod emulation;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the name that the C program calls")]
#[unsafe(no_mangle)]
extern "C" fn casemate_run() {
    emulation::run();
}
