//! The SPC58NN's firmware as C source made from WebAssembly, compiled for this machine: a row of `cargo xtask ports`.

use super::tc3xx::free_address;
use super::{Fault, Row, Running, await_or_give_up, read, summary};
use crate::command::Task;
use crate::{Context, tools};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "casemate-spc58nn";
const LIMIT: Duration = Duration::from_secs(900);

/// Makes C source of the firmware, compiles it, runs the conformance suite in it, and has it serve a client.
pub(super) fn row(context: &Context) -> Result<Row, Fault> {
    tools::programs(&["wasm2c", "gcc"], &["wabt", "gcc"]).map_err(Fault::Missing)?;
    tools::debian_build(context)
        .map_err(Fault::Missing)?
        .locked(context)
        .arguments(["--target", "wasm32v1-none", "--package", PACKAGE, "--bin", "spc58nn-module"])
        .arguments(["--profile", "firmware", "--features", "firmware,conformance"])
        .variable("RUSTFLAGS", super::SMALL_BACK_ENDS)
        .run()?;
    let folder = context.target.join("xtask-c-route");
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let built = context.target.join("xtask-debian/wasm32v1-none/firmware/spc58nn-module.wasm");
    // The names in the C source are made of the file's.
    let (module, source) = (folder.join("module.wasm"), folder.join("module.c"));
    fs::copy(&built, &module).map_err(|error| format!("{}: {error}", built.display()))?;
    Task::new("wasm2c").arguments([&module]).arguments(["-o"]).arguments([&source]).run()?;
    let text = read(&source)?;
    let size = |call: &str| argument(&text, call).ok_or_else(|| format!("the module makes no call {call}"));
    let pages = size("wasm_rt_allocate_memory(&")?;
    let table = size("wasm_rt_allocate_funcref_table(&")?;

    let own = context.root.join("ports/spc58nn/c-route");
    let program = folder.join("casemate-host");
    Task::new("gcc")
        .arguments(["-Os", "-DWASM_RT_MEMCHECK_SIGNAL_HANDLER=0", "-DCASEMATE_CHECK=1"])
        .arguments([format!("-DCASEMATE_MEMORY_PAGES={pages}"), format!("-DCASEMATE_TABLE_SIZE={table}")])
        .arguments(["-I".as_ref(), folder.as_path(), "-I".as_ref(), own.as_path()])
        .arguments([&source, &own.join("runtime.c"), &own.join("posix.c")])
        .arguments(["-lm".as_ref(), "-o".as_ref(), program.as_path()])
        .run()?;

    let (report, result) = Task::new(&program).limit(LIMIT).run_reading_output();
    let conformance = summary(&report)?;
    result?;
    let operations = serve(context, &program, &folder.join("firmware.txt"))?;
    Ok(Row {
        runs: format!("the same as C source, by gcc for this machine: {operations} operations checked"),
        conformance,
        ..Row::default()
    })
}

/// Has a client use the program; how many operations it checked.
fn serve(context: &Context, program: &Path, report: &Path) -> Result<usize, String> {
    let drive = |mode: &'static str| {
        Task::cargo(context).arguments([mode, "--quiet", "--package", "casemate-tc3xx", "--example", "drive"])
    };
    // Built before the program starts: it waits for nobody.
    drive("build").locked(context).run()?;
    let address = free_address()?;
    let port = address.rsplit(':').next().unwrap_or_default();
    let output = File::create(report).map_err(|error| format!("{}: {error}", report.display()))?;
    let mut command = Command::new(program);
    command.arg(port).stdout(output);
    let _running = Running::start(command)?;
    await_or_give_up("the firmware does not get ready", || {
        read(report).is_ok_and(|output| output.contains("READY"))
    })?;
    let (output, result) =
        drive("run").locked(context).arguments(["--", "c", &address]).limit(LIMIT).run_reading_output();
    result?;
    Ok(output.lines().filter(|line| line.starts_with("op ")).count())
}

/// The number that is the second argument of the first call that begins so.
fn argument(text: &str, call: &str) -> Option<u32> {
    let (_, rest) = text.split_once(call)?;
    rest.split([',', ')']).nth(1)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_source() {
        let source = "x\nwasm_rt_allocate_memory(&instance->w2c_memory, 17, 65536);";
        assert_eq!(argument(source, "wasm_rt_allocate_memory(&"), Some(17));
        assert_eq!(argument(source, "wasm_rt_allocate_funcref_table(&"), None);
    }
}
