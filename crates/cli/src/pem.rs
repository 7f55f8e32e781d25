//! Certificates in files, in PEM or DER.

use crate::value::read_file;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// The certificates in a file, in DER one after the other: PEM is decoded, anything else taken as it is.
pub(crate) fn certificates(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_file(path)?;
    let Some(blocks) = pem_blocks(&bytes).with_context(|| path.display().to_string())? else {
        return Ok(bytes.to_vec());
    };
    let mut certificates = Vec::new();
    for (_, certificate) in blocks.into_iter().filter(|(label, _)| label.ends_with("CERTIFICATE")) {
        certificates.extend(certificate);
    }
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(certificates)
}

/// The label and the content of a PEM block.
pub(crate) type PemBlock = (String, Vec<u8>);

/// All PEM blocks (RFC 7468); `None` if there is none.
pub(crate) fn pem_blocks(bytes: &[u8]) -> Result<Option<Vec<PemBlock>>> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    if !text.contains("-----BEGIN ") {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else { bail!("a PEM line breaks off") };
        let Some((body, after)) = after.split_once("-----END ") else {
            bail!("the PEM block `{label}` has no end")
        };
        // Blocks of other kinds may have headers, which are not read.
        if label.ends_with("CERTIFICATE") || label.ends_with("REQUEST") {
            let digits: String = body.split_whitespace().collect();
            let content = STANDARD.decode(digits);
            let content = content.with_context(|| format!("the PEM block `{label}` is damaged"))?;
            blocks.push((label.to_owned(), content));
        }
        rest = after;
    }
    Ok(Some(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_der_or_pem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            certificates(&path)
        };
        assert_eq!(read(&[0x30, 0x82, 0xFF]).unwrap(), [0x30, 0x82, 0xFF]);
        assert_eq!(read(b"0").unwrap(), b"0");
        let pem = "text\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(pem.as_bytes()).unwrap(), [0x30, 0]);
        assert_eq!(read(pem.repeat(2).as_bytes()).unwrap(), [0x30, 0, 0x30, 0]);
        let attribute = pem.replace("CERTIFICATE", "ATTRIBUTE CERTIFICATE");
        assert_eq!(read(attribute.as_bytes()).unwrap(), [0x30, 0]);
        assert!(read(pem.replace("MAA=", "MA").as_bytes()).is_err());
        assert!(read(pem.replace("CERTIFICATE", "PRIVATE KEY").as_bytes()).is_err());
        assert!(read(b"-----BEGIN CERTIFICATE-----\nMAA=\n").is_err());
    }
}
