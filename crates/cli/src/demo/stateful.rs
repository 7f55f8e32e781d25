//! Stateful hash-based signatures, over the shared-memory transport.

use super::{Report, dma, done, refused};
use crate::local::Setup;
use anyhow::{Context, Result, ensure};
use casemate_client::dma::{Placed, Placement, SharedArea};
use casemate_client::{LmsParameters, NewKey, Stateful, StatefulParameters, XmssParameters};
use casemate_protocol::{Flags, KeyId, Label, Status};

const MESSAGE: &[u8] = b"firmware 1.2.3";

/// The message at the start of the area, and what is left for a signature.
fn placed<M: SharedArea>(area: &M) -> Result<(Placement<'_, M>, Placed, Placed)> {
    let mut place = Placement::new(area);
    let message = place.place(MESSAGE)?;
    let signature = place.reserve(16 * 1024)?;
    Ok((place, message, signature))
}

fn flip<M: SharedArea>(area: &M, signature: Placed) -> Result<()> {
    let offset = signature.buffer.address + 100;
    let mut byte = [0];
    area.read(offset, &mut byte)?;
    area.write(offset, &[byte[0] ^ 1])?;
    Ok(())
}

pub(super) fn steps(report: &mut Report) {
    report.group("Stateful hash-based signatures");
    let mut ready = None;
    report.step("share 64 KiB with a server", || {
        ready = Some(dma::shared(&Setup::default(), "stateful")?);
        done()
    });
    let Some((_server, mut hsm, area)) = ready else { return };
    let new = |label: &str| NewKey {
        id: KeyId::NONE,
        flags: Flags::USAGE_SIGN | Flags::USAGE_VERIFY,
        label: Label::from(label),
    };

    let mut lms = None;
    report.step("generate an LMS key of 32 signatures", || {
        let set = StatefulParameters::Lms(LmsParameters::new(1, 5, 8).context("no such set")?);
        let mut place = Placement::new(&area);
        let public = place.reserve(set.public_size())?;
        let (id, length) = hsm.dma_stateful_generate(set, &new("lms"), public.buffer)?;
        ensure!(length == 60, "a public key of {length} bytes");
        lms = Some((id, Stateful::Lms));
        Ok(format!("key {id}, stored"))
    });
    let Some(key) = lms else { return };
    report.step("sign and verify (RFC 8554)", || {
        let (_, message, signature) = placed(&area)?;
        let length = hsm.dma_stateful_sign(key, message.buffer, signature.buffer)?;
        ensure!(length == 1296, "a signature of {length} bytes");
        let mut exact = signature.buffer;
        exact.size = length as u64;
        ensure!(hsm.dma_stateful_verify(key, message.buffer, exact)?, "the signature does not verify");
        flip(&area, signature)?;
        ensure!(!hsm.dma_stateful_verify(key, message.buffer, exact)?, "an altered signature verifies");
        Ok("verified, altered one refused".to_owned())
    });
    report.step("make the other 31 signatures", || {
        let (_, message, signature) = placed(&area)?;
        for _ in 1..32 {
            ensure!(hsm.stateful_remaining(key.0, key.1)?, "said to be exhausted too early");
            hsm.dma_stateful_sign(key, message.buffer, signature.buffer)?;
        }
        ensure!(!hsm.stateful_remaining(key.0, key.1)?, "not said to be exhausted");
        Ok("none remains".to_owned())
    });
    report.step("ask for one more", || {
        let (_, message, signature) = placed(&area)?;
        refused(hsm.dma_stateful_sign(key, message.buffer, signature.buffer), Status::BAD_STATE)
    });
    report.step("read the private key", || refused(hsm.key_export(key.0, &mut [0; 4096]), Status::ACCESS));
    report.step("XMSS-SHA2_10_256: generate, sign, verify (RFC 8391)", || {
        let set = StatefulParameters::Xmss(XmssParameters::named("XMSS-SHA2_10_256").context("no such set")?);
        let mut place = Placement::new(&area);
        let public = place.reserve(set.public_size())?;
        let (id, _) = hsm.dma_stateful_generate(set, &new("xmss"), public.buffer)?;
        let mut root = vec![0; set.public_size()];
        place.take(public, &mut root)?;
        let key = (id, Stateful::Xmss);
        let (_, message, signature) = placed(&area)?;
        let length = hsm.dma_stateful_sign(key, message.buffer, signature.buffer)?;
        ensure!(length == 2500, "a signature of {length} bytes");
        let mut exact = signature.buffer;
        exact.size = length as u64;
        // Another key holds the public half alone.
        let public = hsm.stateful_import_public(set, &new("xmss public"), &root)?;
        let verifier = (public, Stateful::Xmss);
        ensure!(hsm.dma_stateful_verify(verifier, message.buffer, exact)?, "the signature does not verify");
        Ok("verified with the exported public key".to_owned())
    });
    // Nothing that matters any more.
    let _ = hsm.close();
}
