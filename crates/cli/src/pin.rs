//! PINs: from a file, from the environment, or typed without echo; never from the command line, which others can see.

use crate::value::read_file;
use anyhow::{Context, Result, bail};
use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// A PIN.
pub(crate) type Pin = Zeroizing<Vec<u8>>;

/// Where a PIN comes from.
pub(crate) struct Source<'a> {
    /// What it is for, as the question to a person.
    pub(crate) question: &'a str,
    /// The file that was named.
    pub(crate) file: Option<&'a Path>,
    /// The option that names a file, for advice.
    pub(crate) option: &'a str,
    /// The environment variable.
    pub(crate) variable: &'a str,
    /// Ask twice, because a typing error would be kept.
    pub(crate) twice: bool,
}

impl Source<'_> {
    /// The PIN: from the file if one is named, else from the environment, else from whoever sits at the terminal.
    pub(crate) fn read(&self) -> Result<Pin> {
        match self.find()? {
            Some(pin) => Ok(pin),
            None => bail!(
                "{}: there is no terminal to ask at; give a file ({}) or the environment variable {}",
                self.question,
                self.option,
                self.variable
            ),
        }
    }

    /// The same, but `None` where nobody can be asked.
    pub(crate) fn find(&self) -> Result<Option<Pin>> {
        if let Some(path) = self.file {
            return Ok(Some(without_line_end(read_file(path)?)));
        }
        if let Some(pin) = env::var_os(self.variable) {
            use std::os::unix::ffi::OsStringExt;
            return Ok(Some(Zeroizing::new(pin.into_vec())));
        }
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let ask = |question: &str| -> Result<Pin> {
            let typed =
                rpassword::prompt_password(format!("{question}: ")).context("cannot ask for the PIN")?;
            Ok(Zeroizing::new(typed.into_bytes()))
        };
        let pin = ask(self.question)?;
        if self.twice && *ask("Again")? != *pin {
            bail!("the two PINs differ");
        }
        Ok(Some(pin))
    }
}

/// Editors end a file with a line end, which is not part of the PIN.
fn without_line_end(mut pin: Pin) -> Pin {
    for end in [b'\n', b'\r'] {
        if pin.last() == Some(&end)
            && let Some(last) = pin.last_mut()
        {
            last.zeroize();
            pin.pop();
        }
    }
    pin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_left_out() {
        for (text, pin) in
            [("1234", "1234"), ("1234\n", "1234"), ("12\r\n", "12"), ("1\n\n", "1\n"), ("\n", "")]
        {
            assert_eq!(*without_line_end(Zeroizing::new(text.into())), pin.as_bytes());
        }
    }
}
