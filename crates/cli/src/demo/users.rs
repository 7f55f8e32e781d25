//! Users: a server that has them, on a store of its own.

use super::{ALICE, BOB, Report, client, done, refused};
use crate::local::{Running, Setup};
use anyhow::{Result, anyhow, ensure};
use casemate_client::authentication::{Credential, Permissions, UserName};
use casemate_client::{Direction, Key, NewKey};
use casemate_posix::device_key;
use casemate_protocol::{Flags, Group, KeyId, Kind, Label, Status};
use casemate_server::{Config, UserPolicy};
use std::sync::Arc;

const ADMIN_PIN: &[u8] = b"correct horse battery staple";
const PIN: &[u8] = b"271828";

fn name(text: &str) -> Result<UserName> {
    UserName::new(text.as_bytes()).ok_or_else(|| anyhow!("a name has 1 to 31 bytes"))
}

fn start() -> Result<Running> {
    let config = Config {
        users: Some(UserPolicy { pin_iterations: 20_000, ..UserPolicy::default() }),
        ..Config::default()
    };
    let setup = Setup { config, ..Setup::default() };
    let server = setup.server_with_key(setup.ram_store()?, Some(device_key::generate()?))?;
    server.load_users().map_err(|error| anyhow!(error))?;
    server.provision_user(name("admin")?, &Permissions::all(), ADMIN_PIN).map_err(|error| anyhow!(error))?;
    Running::start(&setup, Arc::new(server))
}

/// May encrypt with key 7, and nothing else.
fn permissions() -> Result<Permissions> {
    let mut permissions = Permissions::NONE;
    permissions.set_action(Kind::new(Group::CRYPTO, 2), true);
    ensure!(permissions.set_keys(&[7]), "a list has room for a key");
    Ok(permissions)
}

pub(super) fn steps(report: &mut Report) {
    report.group("Users");
    let mut ready = None;
    report.step("start a server with users", || {
        let server = start()?;
        let (admin, worker) = (client(&server.address, ALICE)?, client(&server.address, ALICE)?);
        let stranger = client(&server.address, BOB)?;
        ready = Some((server, admin, worker, stranger));
        done()
    });
    let Some((_server, mut admin, mut worker, mut stranger)) = ready else { return };
    report.step("ask for random numbers without logging in", || {
        refused(stranger.random(&mut [0; 16]), Status::AUTH_PERMISSION)
    });
    report.step("log in with a wrong PIN", || {
        refused(stranger.login(name("admin")?, Credential::Pin(b"1234")), Status::AUTH_LOGIN_FAILED)
    });
    report.step("log in as administrator, make keys 7 and 8", || {
        admin.login(name("admin")?, Credential::Pin(ADMIN_PIN))?;
        for id in [7, 8] {
            let new = NewKey { id: KeyId(id), flags: Flags::USAGE_ANY, label: Label::from("demo") };
            admin.key_cache_random(&new, 16)?;
            admin.key_commit(KeyId(id))?;
        }
        done()
    });
    report.step("add a user who may encrypt with key 7", || {
        let id = admin.user_add(name("worker")?, &permissions()?, Some(Credential::Pin(PIN)))?;
        ensure!(admin.user_get(name("worker")?)? == (id, permissions()?), "it has other permissions");
        Ok(format!("user {id}"))
    });
    report.step("log in as that user, encrypt with key 7", || {
        worker.login(name("worker")?, Credential::Pin(PIN))?;
        worker.aes_ecb(Direction::Encrypt, Key::Id(KeyId(7)), &mut [0; 16])?;
        done()
    });
    report.step("encrypt with key 8", || {
        let outcome = worker.aes_ecb(Direction::Encrypt, Key::Id(KeyId(8)), &mut [0; 16]);
        refused(outcome, Status::AUTH_PERMISSION)
    });
    report.step("erase key 7", || refused(worker.key_erase(KeyId(7)), Status::AUTH_PERMISSION));
    report.step("take away the user's rights while it is logged in", || {
        let (id, _) = admin.user_get(name("worker")?)?;
        admin.user_set_permissions(id, &Permissions::NONE)?;
        let outcome = worker.aes_ecb(Direction::Encrypt, Key::Id(KeyId(7)), &mut [0; 16]);
        refused(outcome, Status::AUTH_PERMISSION)
    });
    report.step("remove the last administrator", || {
        let (id, _) = admin.user_get(name("admin")?)?;
        refused(admin.user_delete(id), Status::ACCESS)
    });
    report.step("log out", || {
        let (id, _) = admin.user_get(name("admin")?)?;
        admin.logout(id)?;
        refused(admin.random(&mut [0; 16]), Status::AUTH_PERMISSION)
    });
    for hsm in [&mut admin, &mut worker, &mut stranger] {
        // Nothing that matters any more.
        let _ = hsm.close();
    }
}
