//! Custom callbacks: the port's two examples, one of which reads memory that the client shares.

use super::dma::shared;
use super::{Report, done};
use crate::local::Setup;
use anyhow::{Context, ensure};
use casemate_client::dma::Placement;
use casemate_posix::callbacks::{TIME_TYPE, UNREADABLE};
use casemate_protocol::message::custom::{CustomMessage, DATA_SIZE, Dma32};
use std::time::{SystemTime, UNIX_EPOCH};

/// A question about the client's buffer; the callback has none of its own.
const fn buffer_message(client_address: u32, client_size: u32) -> CustomMessage {
    CustomMessage::Dma32(Dma32 { client_address, client_size, server_address: 0, server_size: 0 })
}

pub(super) fn steps(report: &mut Report) {
    report.group("Custom callbacks");
    let mut ready = None;
    report.step("start a server with two callbacks", || {
        let setup = Setup { example_callbacks: true, ..Setup::default() };
        ready = Some(shared(&setup, "custom")?);
        done()
    });
    let Some((_server, mut hsm, area)) = ready else { return };
    report.step("ask which numbers are registered", || {
        ensure!(hsm.custom_is_registered(0)? && hsm.custom_is_registered(1)?, "one is missing");
        ensure!(!hsm.custom_is_registered(2)?, "there is a third one");
        Ok("0 and 1".to_owned())
    });
    report.step("callback 0: what time is it?", || {
        let question = CustomMessage::User { custom_type: TIME_TYPE, data: [0; DATA_SIZE] };
        let answer = hsm.custom_call(0, &question)?;
        let CustomMessage::User { data, .. } = answer.message else { anyhow::bail!("no data came back") };
        let (seconds, _) = data.split_first_chunk().context("no data came back")?;
        let ours = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let seconds = u64::from_le_bytes(*seconds);
        ensure!(ours.abs_diff(seconds) <= 60, "{seconds} s, and it is {ours} s");
        Ok("the same as here".to_owned())
    });
    let mut place = Placement::new(&area);
    report.step("callback 1: add up 1000 bytes of shared memory", || {
        let buffer = place.place(&[7; 1000])?.buffer;
        let question = buffer_message(u32::try_from(buffer.address)?, u32::try_from(buffer.size)?);
        let sum = hsm.custom_call(1, &question)?.returned;
        ensure!(sum == 7000, "{sum}");
        Ok("7000".to_owned())
    });
    report.step("... and memory that is not shared", || {
        let returned = hsm.custom_call(1, &buffer_message(0xFFFF_FF00, 16))?.returned;
        ensure!(returned == UNREADABLE, "it returned {returned}");
        Ok("out of reach".to_owned())
    });
    // Nothing that matters any more.
    let _ = hsm.close();
}
