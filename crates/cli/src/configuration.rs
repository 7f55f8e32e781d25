//! The configuration file of `casemate serve`: a TOML file whose keys are the names of the options.
//!
//! Each setting becomes the option of its name, put before those of the command line, and all of them are judged
//! together: the file can say what the options can, and nothing else. An option that the command line gives replaces
//! the setting.

use anyhow::{Context, Result, anyhow, bail};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The command whose options can stand in a file.
const COMMAND: &str = "serve";
/// Options that make no sense in a file.
const NOT_IN_FILES: [&str; 4] = ["config", "check", "help", "version"];

/// A line of a file, as options.
struct Setting {
    name: String,
    line: usize,
    options: Vec<OsString>,
}

/// The arguments of the program, with those of the configuration file if they name one. Ends the process where the
/// arguments are wrong or ask for help.
///
/// # Errors
/// Those of the file.
pub(crate) fn parse<P: CommandFactory + FromArgMatches>(arguments: Vec<OsString>) -> Result<P> {
    let mut command = P::command();
    let mut lines = Vec::new();
    let mut all = arguments.clone();
    let path = file_name(&arguments);
    if let (Some(path), Some(given)) = (&path, arguments.get(2..)) {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let serve = command.find_subcommand(COMMAND).context("there is no such command")?;
        let settings = settings(&text, serve).with_context(|| path.display().to_string())?;
        all.truncate(2);
        for Setting { name, line, options } in settings {
            if !is_given(given, &name) {
                all.extend(options);
                lines.push((name, line));
            }
        }
        all.extend(given.iter().cloned());
    }
    let matches = match command.try_get_matches_from_mut(&all) {
        Ok(matches) => matches,
        Err(error) => {
            let fault = path.as_ref().and_then(|path| located(&error, path, &lines));
            return Err(fault.unwrap_or_else(|| error.exit()));
        }
    };
    P::from_arg_matches(&matches).map_err(|error| error.exit())
}

/// The file that the arguments name.
fn file_name(arguments: &[OsString]) -> Option<PathBuf> {
    let (_, rest) = arguments.split_first()?;
    let (command, rest) = rest.split_first()?;
    if command != COMMAND {
        return None;
    }
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

/// Whether an option is among these arguments.
fn is_given(arguments: &[OsString], name: &str) -> bool {
    arguments.iter().filter_map(|argument| argument.to_str()).any(|argument| {
        let given = argument.strip_prefix("--");
        given.is_some_and(|given| given.split('=').next() == Some(name))
    })
}

/// What is wrong with a setting of the file, or which is missing, if it is a setting that is wrong.
fn located(error: &clap::Error, path: &Path, lines: &[(String, usize)]) -> Option<anyhow::Error> {
    let named: Vec<&str> = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(text) => vec![text],
        ContextValue::Strings(texts) => texts.iter().map(String::as_str).collect(),
        _ => return None,
    };
    // An argument shows as `--name <VALUE>`.
    let mut names = named.iter().filter_map(|text| text.split([' ', '=', '[']).next()?.strip_prefix("--"));
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let name = names.next()?;
        return Some(anyhow!(
            "{}: the setting `{name}` is missing: add it to the file, or give --{name}",
            path.display()
        ));
    }
    let line = |name: &str| lines.iter().find(|(known, _)| known == name).map(|(_, line)| *line);
    let line = names.into_iter().find_map(line)?;
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim_end();
    Some(anyhow!("{}, line {line}: {what}", path.display()))
}

fn settings(text: &str, command: &Command) -> Result<Vec<Setting>> {
    let line_of = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| match error.span() {
        Some(span) => anyhow!("line {}: {}", line_of(span.start), error.message()),
        None => anyhow!("{}", error.message()),
    })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().to_string();
        let line = line_of(key.span().start);
        let source = text.get(value.span()).unwrap_or_default();
        let options = options(command, &name, value.get_ref(), source);
        settings.push(Setting { options: options.with_context(|| format!("line {line}"))?, name, line });
    }
    // Complaints come from the top down.
    settings.sort_by_key(|setting| setting.line);
    Ok(settings)
}

/// A setting as options. `source` is the value as it stands in the file.
fn options(command: &Command, name: &str, value: &DeValue<'_>, source: &str) -> Result<Vec<OsString>> {
    let find = |name: &str| command.get_arguments().find(|argument| argument.get_long() == Some(name));
    let Some(argument) = find(name).filter(|_| !NOT_IN_FILES.contains(&name)) else {
        let other = name.replace('_', "-");
        if other != name && find(&other).is_some() {
            bail!("there is no setting `{name}`; it is called `{other}`");
        }
        bail!("there is no setting `{name}`; they are called as the options in `casemate help {COMMAND}`");
    };
    let option = |value: &DeValue<'_>, source: &str| -> Result<OsString> {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) => source.replace('_', ""),
            DeValue::Table(_) => bail!("`{name}` is a section; settings stand at the top level"),
            _ => bail!("`{name}` takes a text or a number"),
        };
        Ok(format!("--{name}={text}").into())
    };
    match (argument.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{name}").into()]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, DeValue::Table(_)) => {
            bail!("`{name}` is a section; settings stand at the top level")
        }
        (ArgAction::SetTrue, _) => bail!("`{name}` is true or false"),
        (ArgAction::Append, DeValue::Array(values)) => {
            let each = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
                value @ DeValue::String(_) => option(value, ""),
                _ => bail!("`{name}` takes texts in quotation marks"),
            };
            values.iter().map(each).collect()
        }
        (_, DeValue::Array(_)) => bail!("`{name}` takes one value, not a list"),
        (_, value) => Ok(vec![option(value, source)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn command() -> Command {
        Command::new("casemate").subcommand(
            Command::new("serve")
                .arg(Arg::new("config").long("config"))
                .arg(Arg::new("nvm").long("nvm").required(true))
                .arg(Arg::new("unix").long("unix").action(ArgAction::Append))
                .arg(Arg::new("users").long("users").action(ArgAction::SetTrue))
                .arg(
                    Arg::new("nvm-size")
                        .long("nvm-size")
                        .value_name("BYTES")
                        .value_parser(clap::value_parser!(u32).range(16..)),
                ),
        )
    }

    fn read(text: &str) -> Result<Vec<String>, String> {
        let command = command();
        let serve = command.find_subcommand(COMMAND).unwrap();
        let settings = settings(text, serve).map_err(|error| format!("{error:#}"))?;
        let options = settings.into_iter().flat_map(|setting| setting.options);
        Ok(options.map(|option| option.into_string().unwrap()).collect())
    }

    #[test]
    fn settings_are_options() {
        let text = "# one\nnvm = \"a b\"\nunix = [\"/x\", \"-y\"]\nusers = true\nnvm-size = 1_024\n";
        assert_eq!(
            read(text).unwrap(),
            ["--nvm=a b", "--unix=/x", "--unix=-y", "--users", "--nvm-size=1024"]
        );
        assert_eq!(
            read("users = false\nunix = \"/x\"\nnvm-size = 0x20").unwrap(),
            ["--unix=/x", "--nvm-size=0x20"]
        );
        assert_eq!(read("").unwrap(), [""; 0]);
    }

    #[test]
    fn complaints_name_the_line() {
        for (text, expected) in [
            ("nvm = \"x\"\nspeed = 1\n", "line 2: there is no setting `speed`; they are called as"),
            ("\nnvm_size = 1\n", "line 2: there is no setting `nvm_size`; it is called `nvm-size`"),
            ("config = \"x\"\n", "line 1: there is no setting `config`"),
            ("nvm = \"x\"\n\nusers = \"yes\"\n", "line 3: `users` is true or false"),
            ("nvm = true\n", "line 1: `nvm` takes a text or a number"),
            ("nvm = [\"x\"]\n", "line 1: `nvm` takes one value, not a list"),
            ("unix = [1]\n", "line 1: `unix` takes texts in quotation marks"),
            ("[nvm]\nsize = 1\n", "line 1: `nvm` is a section"),
            ("nvm = \"x\"\nnvm = \"y\"\n", "line 2: "),
            ("nvm = \n", "line 1: "),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(expected), "{text:?}: {said}");
        }
    }

    #[test]
    fn complaints_of_the_options_are_located() {
        let arguments = ["casemate", "serve", "--nvm=x", "--nvm-size=7"];
        let error = command().try_get_matches_from(arguments).unwrap_err();
        let lines = [("nvm".to_owned(), 1), ("nvm-size".to_owned(), 5)];
        let said = located(&error, Path::new("file.toml"), &lines).unwrap().to_string();
        assert_eq!(
            said,
            "file.toml, line 5: invalid value '7' for '--nvm-size <BYTES>': 7 is not in 16..=4294967295"
        );
        assert!(located(&error, Path::new("file.toml"), &lines[..1]).is_none());
    }

    #[test]
    fn which_file_and_what_replaces_it() {
        let arguments = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(file_name(&arguments("casemate serve --users --config a")), Some("a".into()));
        assert_eq!(file_name(&arguments("casemate serve --config=b")), Some("b".into()));
        assert_eq!(file_name(&arguments("casemate top --config c")), None);
        assert_eq!(file_name(&arguments("casemate")), None);
        assert!(is_given(&arguments("--nvm x --tcp=y"), "tcp"));
        assert!(!is_given(&arguments("--nvm-size 1"), "nvm"));
    }
}
