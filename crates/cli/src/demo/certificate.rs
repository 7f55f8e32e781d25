//! Certificates: chains that OpenSSL has made (`crates/x509/tests/data/make.py`).

use super::{Outcome, Report, refused};
use crate::connection::Hsm;
use anyhow::{Context, Result, ensure};
use casemate_client::certificate::{LeafKey, Root};
use casemate_client::{HashAlgorithm, Key};
use casemate_protocol::{Flags, KeyId, ObjectId, Status};

const ROOT: ObjectId = ObjectId(0x0061);
const OTHER_ROOT: ObjectId = ObjectId(0x0062);

/// Certificates by name, one after the other.
pub(crate) fn certificates(names: &[&str]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for name in names {
        let mut lines = include_str!("certificates.txt").lines().filter_map(|line| line.split_once(' '));
        let (_, digits) = lines.find(|(found, _)| found == name).with_context(|| format!("no `{name}`"))?;
        bytes.extend(hex::decode(digits)?);
    }
    Ok(bytes)
}

pub(super) fn steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Certificates");
    report.step("store two trusted roots, read one back", || {
        let root = certificates(&["root"])?;
        let flags = Flags::NONMODIFIABLE;
        hsm.certificate_add(Root { flags, ..Root::new(ROOT) }, &root)?;
        hsm.certificate_add(Root::new(OTHER_ROOT), &certificates(&["other-root"])?)?;
        let mut found = vec![0; 2048];
        let length = hsm.certificate_read(ROOT, &mut found)?;
        ensure!(found[..length] == root, "another certificate came back");
        Ok(format!("{length} bytes"))
    });
    report.step("an unmodifiable root is not replaced", || {
        refused(hsm.certificate_add(Root::new(ROOT), &certificates(&["other-root"])?), Status::ACCESS)
    });
    report.step("verify a chain: intermediate, leaf (P-256)", || verify(hsm, &["intermediate", "leaf"]));
    report.step("again: its signatures are remembered", || verify(hsm, &["intermediate", "leaf"]));
    report.step("a leaf without its intermediate", || rejected(hsm, &["leaf"]));
    report.step("a leaf ahead of its intermediate", || rejected(hsm, &["leaf", "intermediate"]));
    report.step("a leaf that has expired", || rejected(hsm, &["intermediate", "expired"]));
    report.step("a chain below another root", || rejected(hsm, &["other-leaf"]));
    report.step("a leaf with one bit changed", || {
        let mut chain = certificates(&["intermediate", "leaf"])?;
        if let Some(last) = chain.last_mut() {
            *last ^= 1;
        }
        refused(hsm.certificate_verify(ROOT, &chain), Status::CERTIFICATE_VERIFICATION)
    });
    report.step("several roots, one of them absent (RSA, Ed25519)", || {
        let roots = [ObjectId(0x0063), ROOT, OTHER_ROOT];
        hsm.certificate_verify_multi_root(&roots, &certificates(&["other-leaf"])?, None)?;
        Ok("verifies".to_owned())
    });
    report.step("the leaf's key verifies what its owner has signed", || {
        let key = LeafKey { id: KeyId::NONE, flags: Flags::USAGE_VERIFY };
        let chain = certificates(&["intermediate", "leaf"])?;
        let id = hsm.certificate_verify_and_cache(ROOT, &chain, key)?.context("no key was cached")?;
        let hash = hsm.hash(HashAlgorithm::Sha256, b"signed by the leaf")?;
        let signature = certificates(&["signature"])?;
        ensure!(hsm.ecdsa_verify(Key::Id(id), &signature, hash.as_bytes())?, "it does not verify");
        hsm.key_evict(id)?;
        Ok(format!("key {id}; signature by OpenSSL"))
    });
    report.step("an attribute certificate", || {
        hsm.certificate_verify_attribute(ROOT, &certificates(&["attribute"])?)?;
        Ok("verifies".to_owned())
    });
    report.step("... is not one of the other root", || {
        let attribute = certificates(&["attribute"])?;
        refused(hsm.certificate_verify_attribute(OTHER_ROOT, &attribute), Status::CERTIFICATE_VERIFICATION)
    });
    report.step("erase the roots", || {
        hsm.certificate_erase(ROOT)?;
        hsm.certificate_erase(OTHER_ROOT)?;
        refused(hsm.certificate_verify(ROOT, &certificates(&["intermediate"])?), Status::NOT_FOUND)
    });
}

fn verify(hsm: &mut Hsm, names: &[&str]) -> Outcome {
    hsm.certificate_verify(ROOT, &certificates(names)?)?;
    Ok("verifies".to_owned())
}

fn rejected(hsm: &mut Hsm, names: &[&str]) -> Outcome {
    refused(hsm.certificate_verify(ROOT, &certificates(names)?), Status::CERTIFICATE_VERIFICATION)
}
