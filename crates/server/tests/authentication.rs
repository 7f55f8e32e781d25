//! Users, logins and permissions: document 07, part C, rule by rule, and what this server does better.

mod common;

use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, ObjectStore, RamFlash};
use casemate_protocol::message::authentication::{
    LoginRequest, LogoutRequest, Permissions, SetCredentialsRequest, SetPermissionsRequest, UserAddRequest,
    UserDeleteRequest, UserGetRequest, UserId, UserName, method,
};
use casemate_protocol::message::{Request, key, nvm, refusal};
use casemate_protocol::{
    ByteOrder, Flags, Group, Header, KeyId, Kind, Label, Layout, Metadata, ObjectId, Status,
};
use casemate_server::audit::Event;
use casemate_server::{Config, Isolation, Lockout, UserError, UserPolicy};
use casemate_testkit::flash::{Effect, PowerCutFlash};
use casemate_testkit::server::{RamStore, VirtualOptions, VirtualServer, VirtualSession};
use common::{MESSAGES, bytes};

const ADMIN: &str = "admin";
const PIN: &[u8] = b"1234";
const DEVICE_KEY: [u8; 32] = [0x5A; 32];

const LOCKOUT: Lockout = Lockout { free: 3, first_delay: 10, longest_delay: 40, limit: 7, count_first: true };

fn policy() -> UserPolicy {
    UserPolicy { pin_iterations: 2, lockout: LOCKOUT, ..UserPolicy::default() }
}

fn options() -> VirtualOptions {
    let config = Config { users: Some(policy()), data_length: 1280, ..Config::default() };
    VirtualOptions { config, device_key: Some(DEVICE_KEY), ..VirtualOptions::default() }
}

fn name(text: &str) -> UserName {
    UserName::new(text.as_bytes()).unwrap()
}

fn store_on(image: Vec<u8>) -> RamStore {
    let flash = RamFlash::new(image, 0xFF);
    FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new()).unwrap()
}

fn empty_store() -> RamStore {
    store_on(vec![0; 128 * 1024])
}

type Server<'s> = VirtualServer<&'s mut RamStore>;

fn start(store: &mut RamStore) -> Server<'_> {
    start_with(options(), store)
}

fn start_with(options: VirtualOptions, store: &mut RamStore) -> Server<'_> {
    let server = VirtualServer::with_store(options, store);
    server.server().load_users().unwrap();
    server
}

/// A server with one administrator, and a session in which it is logged in.
macro_rules! with_administrator {
    ($server:ident, $admin:ident) => {
        let mut store = empty_store();
        let $server = start(&mut store);
        $server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
        #[allow(unused_mut)]
        let mut $admin = Peer::new(&$server, 1);
        assert_eq!($admin.login(ADMIN, PIN), Ok(UserId(1)));
    };
}

struct Peer<'s, S: ObjectStore> {
    server: &'s VirtualServer<S>,
    session: VirtualSession<S>,
    order: ByteOrder,
}

impl<'s, S: ObjectStore> Peer<'s, S> {
    fn silent(server: &'s VirtualServer<S>) -> Self {
        Self { server, session: server.session(), order: ByteOrder::Little }
    }

    fn new(server: &'s VirtualServer<S>, client: u32) -> Self {
        let mut peer = Self::silent(server);
        assert_eq!(peer.raw(Group::COMM, 1, &client.to_le_bytes()).len(), 8);
        peer
    }

    fn raw(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8> {
        let header =
            Header { order: self.order, kind: Kind::new(group, action), sequence: 1, auxiliary: [0; 2] };
        let packet = [&header.encode(), payload].concat();
        self.server.request(&mut self.session, &packet).unwrap().split_off(8)
    }

    fn ask<R: Request>(&mut self, request: &R, tail: &[u8]) -> (R::Response, Vec<u8>) {
        let mut payload = vec![0; R::SIZE];
        request.encode(self.order, &mut payload).unwrap();
        payload.extend(tail);
        let answer = self.raw(R::KIND.group, R::KIND.action, &payload);
        let (response, rest) = R::Response::decode(&answer, self.order).unwrap();
        (response, rest.to_vec())
    }

    fn login_by(&mut self, method: u16, user: &str, credential: &[u8]) -> Result<UserId, Status> {
        let length = credential.len().try_into().unwrap();
        let (response, rest) = self.ask(&LoginRequest { method, name: name(user), length }, credential);
        assert!(rest.is_empty() && (response.status == Status::OK) == (response.user != UserId::NONE));
        response.status.into_result().map(|()| response.user)
    }

    fn login(&mut self, user: &str, pin: &[u8]) -> Result<UserId, Status> {
        self.login_by(method::PIN, user, pin)
    }

    fn logout(&mut self, user: u16) -> Result<(), Status> {
        self.ask(&LogoutRequest { user: UserId(user) }, &[]).0.status.into_result()
    }

    fn add_by(
        &mut self,
        method: u16,
        user: &str,
        permissions: Permissions,
        credential: &[u8],
    ) -> Result<u16, Status> {
        let length = credential.len().try_into().unwrap();
        let request = UserAddRequest { name: name(user), permissions, method, length };
        let response = self.ask(&request, credential).0;
        assert_eq!(response.status == Status::OK, response.user != UserId::NONE);
        response.status.into_result().map(|()| response.user.0)
    }

    fn add(&mut self, user: &str, permissions: Permissions, pin: &[u8]) -> Result<u16, Status> {
        self.add_by(method::PIN, user, permissions, pin)
    }

    fn delete(&mut self, user: u16) -> Result<(), Status> {
        self.ask(&UserDeleteRequest { user: UserId(user) }, &[]).0.status.into_result()
    }

    fn get(&mut self, user: &str) -> Result<(u16, Permissions), Status> {
        let response = self.ask(&UserGetRequest { name: name(user) }, &[]).0;
        if response.status != Status::OK {
            assert_eq!((response.user, response.permissions), (UserId::NONE, Permissions::NONE));
        }
        response.status.into_result().map(|()| (response.user.0, response.permissions))
    }

    fn set_permissions(&mut self, user: u16, permissions: Permissions) -> Result<(), Status> {
        let request = SetPermissionsRequest { user: UserId(user), permissions };
        self.ask(&request, &[]).0.status.into_result()
    }

    fn set_pin(&mut self, user: u16, current: &[u8], new: &[u8]) -> Result<(), Status> {
        self.set_credentials(user, method::PIN, current, new)
    }

    fn set_credentials(&mut self, user: u16, method: u16, current: &[u8], new: &[u8]) -> Result<(), Status> {
        let request = SetCredentialsRequest {
            user: UserId(user),
            method,
            current_length: current.len().try_into().unwrap(),
            new_length: new.len().try_into().unwrap(),
        };
        self.ask(&request, &[current, new].concat()).0.status.into_result()
    }

    fn list(&mut self) -> Status {
        let request = nvm::ListRequest { access: 0, flags: Flags::NONE, start: ObjectId(0) };
        self.ask(&request, &[]).0.status
    }

    fn cache_key(&mut self, id: u16) -> Result<u16, Status> {
        let request = key::CacheRequest {
            flags: Flags::USAGE_ANY.0.into(),
            length: 16,
            label_length: 24,
            id: KeyId(id),
            label: Label::EMPTY,
        };
        let response = self.ask(&request, &[7; 16]).0;
        response.status.into_result().map(|()| response.id.0)
    }

    fn evict(&mut self, id: u16) -> Status {
        self.ask(&key::EvictRequest { id: KeyId(id) }, &[]).0.status
    }

    fn export(&mut self, id: u16) -> Status {
        self.ask(&key::ExportRequest { id: KeyId(id) }, &[]).0.status
    }

    /// One block of AES-ECB with a key of the server's.
    fn encrypt(&mut self, id: u16) -> Status {
        let mut payload = bytes("0D000000 00*8 01000000 00000000 10000000");
        payload.extend(id.to_le_bytes());
        payload.extend([0; 2 + 16]);
        let answer = self.raw(Group::CRYPTO, 2, &payload);
        Status(i32::from_le_bytes(answer[4..8].try_into().unwrap()))
    }
}

/// Permissions for some messages.
fn some(kinds: &[(Group, u8)]) -> Permissions {
    let mut permissions = Permissions::NONE;
    for &(group, action) in kinds {
        permissions.set_action(Kind::new(group, action), true);
    }
    permissions
}

fn groups(groups: &[Group]) -> Permissions {
    let mut permissions = Permissions::NONE;
    groups.iter().for_each(|&group| permissions.set_group(group, true));
    permissions
}

fn with_keys(mut permissions: Permissions, keys: &[u32]) -> Permissions {
    assert!(permissions.set_keys(keys));
    permissions
}

// ----- C.1: presence -----

#[test]
fn a_server_without_users_says_so_to_every_message_and_has_no_gate() {
    let server = VirtualServer::default();
    let mut peer = Peer::new(&server, 1);
    for action in 0..=255 {
        assert_eq!(peer.raw(Group::AUTH, action, &[0; 40]), (-2302_i32).to_le_bytes());
    }
    assert_eq!(peer.list(), Status::OK);
    assert_eq!(server.server().load_users(), Err(UserError::Disabled));
    assert_eq!(server.server().provision_user(name("a"), &Permissions::all(), PIN), Err(UserError::Disabled));
}

#[test]
fn users_that_were_not_loaded_keep_everybody_out() {
    let mut store = empty_store();
    let server = VirtualServer::with_store(options(), &mut store);
    assert_eq!(server.server().user_count(), Err(UserError::NotLoaded));
    assert_eq!(
        server.server().provision_user(name(ADMIN), &Permissions::all(), PIN),
        Err(UserError::NotLoaded)
    );
    let mut peer = Peer::new(&server, 1);
    assert_eq!(peer.login(ADMIN, PIN), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(peer.list(), Status::AUTH_PERMISSION);
}

// ----- C.2: the gate -----

#[test]
fn nobody_gets_past_the_gate_without_login_and_sees_why() {
    let mut store = empty_store();
    let server = start(&mut store);
    let mut peer = Peer::new(&server, 3);
    for &(group, action, payload, status) in
        MESSAGES.iter().filter(|message| !matches!(message.0, 1 | 10 | 13))
    {
        let answer = peer.raw(Group(group), action, &bytes(payload));
        let at = status.unwrap_or(0);
        assert_eq!(answer[at..at + 4], (-2301_i32).to_le_bytes(), "{group} {action}");
        let rest: Vec<_> = answer[..at].iter().chain(&answer[at + 4..]).collect();
        // The algorithm is repeated, so that clients look at the status at all.
        let echoed = if group == 4 { 4 } else { 0 };
        assert_eq!(&answer[..echoed], &bytes(payload)[..echoed]);
        assert!(rest[echoed..].iter().all(|&&byte| byte == 0), "{group} {action}");
        let size = refusal(Kind::new(Group(group), action)).map_or(4, |refusal| refusal.size);
        assert_eq!(answer.len(), size, "{group} {action}");
    }
    // Document 07, C.2: sizes that the original sends too.
    for (group, action, size) in [
        (13, 1, 4),
        (13, 2, 8),
        (13, 3, 4),
        (13, 4, 480),
        (13, 5, 4),
        (13, 6, 4),
        (13, 7, 4),
        (2, 1, 12),
        (2, 3, 16),
        (2, 5, 8),
        (2, 6, 36),
        (2, 8, 4),
        (0, 0, 4),
        (5, 0, 4),
        (9, 1, 4),
        (14, 0, 4),
        (255, 255, 4),
    ] {
        let answer = peer.raw(Group(group), action, &[]);
        assert_eq!(answer.len(), size, "{group} {action}");
        assert_eq!(answer[..4], (-2301_i32).to_le_bytes(), "{group} {action}");
        assert!(answer[4..].iter().all(|&byte| byte == 0), "{group} {action}");
    }
    // Exchange I of document 01, §14, but for the size of the first.
    assert_eq!(peer.raw(Group::NVM, 5, &bytes("1122334455")), bytes("03F7FFFF 00000000"));
}

#[test]
fn connection_messages_need_no_permission_before_and_after_login() {
    with_administrator!(server, admin);
    admin.add("quiet", Permissions::NONE, b"pin").unwrap();
    let mut peer = Peer::new(&server, 2);
    for _ in 0..2 {
        assert_eq!(peer.raw(Group::COMM, 5, b"echo"), b"echo");
        assert_eq!(peer.raw(Group::COMM, 4, &[]).len(), 72);
        assert_eq!(peer.raw(Group::COMM, 1, &[2, 0, 0, 0]).len(), 8);
        assert_eq!(peer.raw(Group::COMM, 2, &[]).len(), 0);
        peer.login("quiet", b"pin").unwrap_or_default();
    }
    assert_eq!(peer.list(), Status::AUTH_PERMISSION);
    // CLOSE ends the session and the login.
    assert_eq!(admin.list(), Status::OK);
    assert_eq!(admin.raw(Group::COMM, 3, &[]).len(), 0);
    assert_eq!(admin.list(), Status::AUTH_PERMISSION);
}

#[test]
fn a_message_needs_its_groups_byte_and_its_actions_bit() {
    with_administrator!(server, admin);
    let cases = [
        (some(&[(Group::NVM, nvm::action::LIST)]), true),
        (some(&[(Group::NVM, nvm::action::READ)]), false),
        (groups(&[Group::KEY, Group::CRYPTO]), false),
        (groups(&[Group::NVM]), true),
    ];
    let mut byte_only = [0; 473];
    byte_only[2] = 0xFF;
    let mut bit_only = [0; 473];
    bit_only[15 + 2 * 32] = 1 << nvm::action::LIST;
    let raw = [byte_only, bit_only].map(|block| (Permissions::from_bytes(block), false));
    for (permissions, allowed) in cases.into_iter().chain(raw) {
        let user = admin.add("worker", permissions, b"pin").unwrap();
        let mut worker = Peer::new(&server, 2);
        worker.login("worker", b"pin").unwrap();
        assert_eq!(worker.list() == Status::OK, allowed, "{permissions:?}");
        // Logging out is always allowed.
        assert_eq!(worker.logout(user), Ok(()));
        admin.delete(user).unwrap();
    }
}

#[test]
fn permitted_groups_answer_unknown_actions_themselves_and_unknown_groups_stay_closed() {
    with_administrator!(server, admin);
    assert_eq!(admin.raw(Group::AUTH, 7, &[]), []);
    assert_eq!(admin.raw(Group::NVM, 0x55, &[]), []);
    for group in [0, 14, 255] {
        assert_eq!(admin.raw(Group(group), 1, &[]), (-2301_i32).to_le_bytes());
    }
}

#[test]
fn strict_isolation_wants_init_before_login() {
    let mut store = empty_store();
    let server = start(&mut store);
    server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
    assert_eq!(Peer::silent(&server).login(ADMIN, PIN), Err(Status::ACCESS));
}

// ----- C.5: LOGIN -----

#[test]
fn login_checks_in_the_originals_order() {
    with_administrator!(server, admin);
    admin.add("nopin", Permissions::NONE, b"").unwrap();
    let mut peer = Peer::new(&server, 2);
    let status = |answer: Vec<u8>| {
        assert_eq!(answer.len(), 8);
        Status(i32::from_le_bytes(answer[..4].try_into().unwrap()))
    };
    // Sizes come first, before the method and before being logged in.
    assert_eq!(status(peer.raw(Group::AUTH, 0, &[0; 35])), Status::BUFFER_SIZE);
    let mut short = bytes("0900 61 00*31 0500");
    short.extend(b"1234");
    assert_eq!(status(peer.raw(Group::AUTH, 0, &short)), Status::BUFFER_SIZE);
    assert_eq!(status(admin.raw(Group::AUTH, 0, &short)), Status::BUFFER_SIZE);
    assert_eq!(peer.login(ADMIN, &[b'1'; 1244]), Err(Status::AUTH_LOGIN_FAILED));
    // A session holds one user.
    assert_eq!(admin.login_by(9, ADMIN, PIN), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(admin.login(ADMIN, PIN), Err(Status::AUTH_LOGIN_FAILED));
    for method in [0, 2, 3, 0xFFFF] {
        assert_eq!(peer.login_by(method, ADMIN, PIN), Err(Status::BAD_ARGUMENTS));
    }
    for (user, pin) in [("nobody", PIN), (ADMIN, b"1235"), (ADMIN, b""), ("nopin", b""), ("nopin", PIN)] {
        assert_eq!(peer.login(user, pin), Err(Status::AUTH_LOGIN_FAILED), "{user}");
    }
    assert_eq!(peer.list(), Status::AUTH_PERMISSION);
    // Surplus bytes do not count, and neither does what follows the name.
    let mut long = bytes("0100 61646D696E 00 77*26 0400");
    long.extend(b"1234567");
    assert_eq!(peer.raw(Group::AUTH, 0, &long), bytes("00000000 0100 0000"));
}

#[test]
fn sessions_of_one_user_and_of_several_run_side_by_side() {
    with_administrator!(server, admin);
    admin.add("worker", groups(&[Group::NVM]), b"pin").unwrap();
    let mut peers: Vec<_> = (2..6).map(|id| Peer::new(&server, id)).collect();
    for (index, peer) in peers.iter_mut().enumerate() {
        if index % 2 == 0 { peer.login(ADMIN, PIN) } else { peer.login("worker", b"pin") }.unwrap();
    }
    for peer in &mut peers {
        assert_eq!(peer.list(), Status::OK);
    }
    assert_eq!(peers[0].logout(1), Ok(()));
    assert_eq!(peers[0].list(), Status::AUTH_PERMISSION);
    for peer in &mut peers[1..] {
        assert_eq!(peer.list(), Status::OK);
    }
    // A session can log in again, as somebody else.
    assert_eq!(peers[0].login("worker", b"pin"), Ok(UserId(2)));
}

#[test]
fn both_byte_orders() {
    with_administrator!(server, admin);
    let permissions = with_keys(some(&[(Group::NVM, nvm::action::LIST)]), &[0x1305]);
    admin.add("worker", permissions, b"pin").unwrap();
    let mut big = Peer::new(&server, 2);
    big.order = ByteOrder::Big;
    assert_eq!(big.login(ADMIN, PIN), Ok(UserId(1)));
    // The permission block is the same in both orders.
    assert_eq!(big.get("worker"), Ok((2, permissions)));
    assert_eq!(big.raw(Group::AUTH, 4, &[0; 33]), [&[0xFF, 0xFF, 0xF8, 0x30][..], &[0; 476]].concat());
}

// ----- C.5: LOGOUT -----

#[test]
fn logout_is_for_oneself_or_by_an_administrator_and_then_ends_every_session() {
    with_administrator!(server, admin);
    admin.add("worker", groups(&[Group::NVM]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    let mut second = Peer::new(&server, 3);
    worker.login("worker", b"pin").unwrap();
    second.login("worker", b"pin").unwrap();
    assert_eq!(worker.logout(0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(worker.logout(6), Err(Status::NOT_FOUND));
    assert_eq!(worker.logout(1), Err(Status::ACCESS));
    assert_eq!(worker.raw(Group::AUTH, 1, &[2, 0, 0]), (-2000_i32).to_le_bytes());
    assert_eq!(worker.raw(Group::AUTH, 1, &[2, 0, 0, 0, 0]), (-2000_i32).to_le_bytes());
    assert_eq!(worker.list(), Status::OK);
    // In the original their connections would go on.
    assert_eq!(admin.logout(2), Ok(()));
    assert_eq!(worker.list(), Status::AUTH_PERMISSION);
    assert_eq!(second.list(), Status::AUTH_PERMISSION);
    assert_eq!(admin.logout(2), Ok(()));
    assert_eq!(admin.logout(5), Ok(()));
    assert_eq!(admin.list(), Status::OK);
    assert_eq!(worker.logout(2), Err(Status::AUTH_PERMISSION));
}

// ----- C.5: USER_ADD -----

#[test]
fn who_is_no_administrator_gives_away_only_what_it_has() {
    with_administrator!(server, admin);
    let own = with_keys(some(&[(Group::AUTH, 2)]), &[0x5555]);
    admin.add("creator", own, b"pin").unwrap();
    let mut creator = Peer::new(&server, 2);
    creator.login("creator", b"pin").unwrap();
    let mut administrator = own;
    administrator.set_administrator(true);
    let mut bit_only = [0; 473];
    bit_only[15] = 1;
    let mut byte_only = [0; 473];
    byte_only[4] = 1;
    for permissions in [
        administrator,
        some(&[(Group::AUTH, 2), (Group::AUTH, 3)]),
        groups(&[Group::CRYPTO]),
        Permissions::from_bytes(bit_only),
        Permissions::from_bytes(byte_only),
        with_keys(own, &[0x9999]),
        with_keys(own, &[0x5555, 1]),
    ] {
        assert_eq!(creator.add("child", permissions, b"pin"), Err(Status::AUTH_PERMISSION));
    }
    assert_eq!(creator.add_by(method::NONE, "child", own, b""), Err(Status::AUTH_PERMISSION));
    // This rule comes before the others.
    assert_eq!(creator.add_by(9, ADMIN, administrator, b"pin"), Err(Status::AUTH_PERMISSION));
    assert_eq!(creator.add("child", own, b"pin"), Ok(3));
    // The list of keys can be left out, and is then passed on: no list would mean every key.
    assert_eq!(creator.add("other", Permissions::NONE, b"pin"), Ok(4));
    assert_eq!(admin.get("other"), Ok((4, with_keys(Permissions::NONE, &[0x5555]))));
}

#[test]
fn adding_checks_in_the_originals_order() {
    with_administrator!(server, admin);
    let none = Permissions::NONE;
    let status = |answer: Vec<u8>| {
        assert_eq!(answer.len(), 8);
        Status(i32::from_le_bytes(answer[..4].try_into().unwrap()))
    };
    assert_eq!(status(admin.raw(Group::AUTH, 2, &[0; 509])), Status::BUFFER_SIZE);
    let mut short = bytes("61 00*31 00*473 00 0100 0500");
    short.extend(b"1234");
    assert_eq!(short.len(), 514);
    assert_eq!(status(admin.raw(Group::AUTH, 2, &short)), Status::BUFFER_SIZE);
    assert_eq!(admin.add("long", none, &[7; 770]), Ok(2));
    assert_eq!(Peer::new(&server, 3).login("long", &[7; 770]), Ok(UserId(2)));
    for method in [0, 2, 3] {
        assert_eq!(admin.add_by(method, "x", none, b"pin"), Err(Status::BAD_ARGUMENTS));
    }
    // Without a credential nobody looks at the method, and nobody can log in.
    assert_eq!(admin.add_by(77, "nopin", none, b""), Ok(3));
    assert_eq!(admin.add("long", none, b"pin"), Err(Status::BAD_ARGUMENTS));
    let nameless = bytes("00*32 00*473 00 0000 0000");
    assert_eq!(status(admin.raw(Group::AUTH, 2, &nameless)), Status::BAD_ARGUMENTS);
    assert_eq!(admin.add("four", none, b"pin"), Ok(4));
    assert_eq!(admin.add("five", none, b"pin"), Ok(5));
    assert_eq!(admin.add("six", none, b"pin"), Err(Status::BUFFER_SIZE));
    assert_eq!(admin.add("five", none, b"pin"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(status(admin.raw(Group::AUTH, 2, &nameless)), Status::BUFFER_SIZE);
    // The lowest free number is taken again.
    admin.delete(3).unwrap();
    assert_eq!(admin.add("again", none, b"pin"), Ok(3));
    // Surplus keys are cut off.
    let mut many = [0; 473];
    many[463..].copy_from_slice(&[9, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    admin.delete(5).unwrap();
    admin.add("many", Permissions::from_bytes(many), b"pin").unwrap();
    assert_eq!(admin.get("many"), Ok((5, with_keys(none, &[1, 2]))));
}

#[test]
fn group_bytes_are_kept_as_they_were_sent() {
    with_administrator!(server, admin);
    assert_eq!(admin.get(ADMIN), Ok((1, Permissions::all())));
    assert_eq!(admin.get(ADMIN).unwrap().1.as_bytes()[14], 0xFF);
}

#[test]
fn short_pins_are_refused_where_the_policy_says_so() {
    let mut store = empty_store();
    let mut options = options();
    options.config.users = Some(UserPolicy { minimum_pin_length: 4, ..policy() });
    let server = start_with(options, &mut store);
    let refused = Err(UserError::Refused(Status::BAD_ARGUMENTS));
    assert_eq!(server.server().provision_user(name(ADMIN), &Permissions::all(), b"123"), refused);
    server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
    let mut admin = Peer::new(&server, 1);
    admin.login(ADMIN, PIN).unwrap();
    assert_eq!(admin.add("x", Permissions::NONE, b"123"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(admin.set_pin(1, PIN, b"123"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(admin.add("x", Permissions::NONE, b"1234"), Ok(2));
}

// ----- C.5: USER_DELETE, USER_GET, USER_SET_PERMISSIONS -----

#[test]
fn only_administrators_delete_and_set_permissions() {
    with_administrator!(server, admin);
    admin.add("worker", groups(&[Group::AUTH]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("worker", b"pin").unwrap();
    for peer in [&mut admin, &mut worker] {
        for user in [0, 6, 0xFFFF] {
            assert_eq!(peer.delete(user), Err(Status::NOT_FOUND));
            assert_eq!(peer.set_permissions(user, Permissions::NONE), Err(Status::NOT_FOUND));
        }
    }
    for user in [1, 2, 3] {
        assert_eq!(worker.delete(user), Err(Status::ACCESS));
        assert_eq!(worker.set_permissions(user, Permissions::all()), Err(Status::ACCESS));
    }
    assert_eq!(admin.delete(3), Err(Status::NOT_FOUND));
    assert_eq!(admin.set_permissions(3, Permissions::NONE), Err(Status::NOT_FOUND));
    for (action, size) in [(3, 3), (3, 5), (4, 33), (4, 35), (5, 475), (5, 477)] {
        let answer = admin.raw(Group::AUTH, action, &vec![0; size]);
        assert_eq!(answer[..4], (-2000_i32).to_le_bytes(), "{action} {size}");
    }
    assert!(!admin.get("worker").unwrap().1.is_administrator());
}

#[test]
fn users_see_themselves_only() {
    with_administrator!(server, admin);
    let own = with_keys(groups(&[Group::AUTH]), &[5]);
    admin.add("worker", own, b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("worker", b"pin").unwrap();
    assert_eq!(worker.get("worker"), Ok((2, own)));
    assert_eq!(worker.get(ADMIN), Err(Status::ACCESS));
    assert_eq!(worker.get("nobody"), Err(Status::ACCESS));
    assert_eq!(admin.get("nobody"), Err(Status::NOT_FOUND));
    assert_eq!(admin.get("worker"), Ok((2, own)));
}

#[test]
fn live_sessions_lose_what_their_user_loses_at_once() {
    with_administrator!(server, admin);
    let user = admin.add("worker", groups(&[Group::NVM]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("worker", b"pin").unwrap();
    assert_eq!(worker.list(), Status::OK);
    admin.set_permissions(user, Permissions::NONE).unwrap();
    assert_eq!(worker.list(), Status::AUTH_PERMISSION);
    admin.set_permissions(user, groups(&[Group::NVM])).unwrap();
    assert_eq!(worker.list(), Status::OK);
    admin.delete(user).unwrap();
    assert_eq!(worker.list(), Status::AUTH_PERMISSION);
    // Another user with the same number is another user.
    assert_eq!(admin.add("other", groups(&[Group::NVM]), b"pin"), Ok(user));
    assert_eq!(worker.list(), Status::AUTH_PERMISSION);
    // A session whose user is gone can log in anew.
    assert_eq!(worker.login("other", b"pin"), Ok(UserId(user)));
    assert_eq!(worker.list(), Status::OK);
    // An administrator sees its own change at once, too.
    admin.add("second", Permissions::all(), b"pin").unwrap();
    let mut less = Permissions::all();
    less.set_group(Group::NVM, false);
    admin.set_permissions(1, less).unwrap();
    assert_eq!(admin.list(), Status::AUTH_PERMISSION);
}

#[test]
fn the_last_administrator_stays() {
    with_administrator!(server, admin);
    let mut weak = Permissions::all();
    weak.set_administrator(false);
    let mut blind = Permissions::all();
    blind.set_group(Group::AUTH, false);
    // An administrator who cannot log in does not count, and neither does one without rights over users.
    admin.add_by(0, "no pin", Permissions::all(), b"").unwrap();
    admin.add("no rights", blind, b"pin").unwrap();
    assert_eq!(admin.delete(1), Err(Status::ACCESS));
    for permissions in [weak, blind, Permissions::NONE] {
        assert_eq!(admin.set_permissions(1, permissions), Err(Status::ACCESS));
    }
    assert_eq!(admin.set_pin(1, PIN, b""), Err(Status::ACCESS));
    assert_eq!(admin.set_permissions(1, groups(&[Group::AUTH])), Err(Status::ACCESS));
    assert_eq!(admin.get(ADMIN), Ok((1, Permissions::all())));
    // With a second one the first may go.
    let second = admin.add("second", Permissions::all(), b"pin").unwrap();
    assert_eq!(admin.delete(1), Ok(()));
    assert_eq!(admin.list(), Status::AUTH_PERMISSION);
    let mut peer = Peer::new(&server, 2);
    peer.login("second", b"pin").unwrap();
    assert_eq!(peer.delete(second), Err(Status::ACCESS));
}

// ----- C.5: USER_SET_CREDENTIALS -----

#[test]
fn setting_credentials_checks_in_the_originals_order() {
    with_administrator!(server, admin);
    let user = admin.add("worker", groups(&[Group::AUTH]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("worker", b"pin").unwrap();
    assert_eq!(admin.raw(Group::AUTH, 6, &[0; 7]), (-2000_i32).to_le_bytes());
    let halves = |current: u16, new: u16, tail: usize| {
        let mut payload = bytes("0200 0100");
        payload.extend(current.to_le_bytes());
        payload.extend(new.to_le_bytes());
        payload.extend(vec![b'x'; tail]);
        payload
    };
    for (current, new, tail) in [(3, 1, 3), (637, 0, 637), (0, 637, 637), (4, 0, 3)] {
        let answer = admin.raw(Group::AUTH, 6, &halves(current, new, tail));
        assert_eq!(answer, (-2006_i32).to_le_bytes(), "{current} {new}");
    }
    for target in [0, 6] {
        assert_eq!(admin.set_credentials(target, 9, b"", b"new"), Err(Status::BAD_ARGUMENTS));
    }
    for target in [1, 3] {
        assert_eq!(worker.set_credentials(target, 9, b"pin", b"new"), Err(Status::ACCESS));
    }
    for method in [0, 2, 3] {
        assert_eq!(admin.set_credentials(3, method, b"pin", b"new"), Err(Status::BAD_ARGUMENTS));
    }
    assert_eq!(admin.set_pin(3, b"pin", b"new"), Err(Status::NOT_FOUND));
    assert_eq!(admin.set_pin(user, b"", b"new"), Err(Status::ACCESS));
    assert_eq!(admin.set_pin(user, b"wrong", b"new"), Err(Status::ACCESS));
    // An administrator who knows the PIN can change it; the user's sessions end.
    assert_eq!(admin.set_pin(user, b"pin", b"new"), Ok(()));
    assert_eq!(worker.get("worker"), Err(Status::AUTH_PERMISSION));
    assert_eq!(worker.login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(worker.login("worker", b"new"), Ok(UserId(user)));
    // Users change their own; this session goes on, others end.
    let mut second = Peer::new(&server, 3);
    second.login("worker", b"new").unwrap();
    assert_eq!(worker.set_pin(user, b"new", b"newer"), Ok(()));
    assert_eq!(worker.get("worker").map(|found| found.0), Ok(user));
    assert_eq!(second.get("worker"), Err(Status::AUTH_PERMISSION));
    // Removing it makes logins impossible, until there is a new one.
    assert_eq!(worker.set_pin(user, b"newer", b""), Ok(()));
    assert_eq!(second.login("worker", b"newer"), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(admin.set_pin(user, b"newer", b"back"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(admin.set_pin(user, b"", b"back"), Ok(()));
    assert_eq!(second.login("worker", b"back"), Ok(UserId(user)));
}

// ----- keys -----

#[test]
fn a_user_with_a_list_of_keys_uses_no_others() {
    with_administrator!(server, admin);
    let own = groups(&[Group::KEY, Group::CRYPTO, Group::NVM, Group::COUNTER]);
    // Key 5 of whoever the client is, and key 9 of client 1.
    let listed = admin.add("listed", with_keys(own, &[5, 0x1109]), b"pin").unwrap();
    for id in [4, 5, 9] {
        admin.cache_key(id).unwrap();
        assert_eq!(admin.ask(&key::CommitRequest { id: KeyId(id) }, &[]).0.status, Status::OK);
    }
    let mut same = Peer::new(&server, 1);
    same.login("listed", b"pin").unwrap();
    for (id, allowed) in [(4, false), (5, true), (9, true), (0x0105, false)] {
        let refused = Status::AUTH_PERMISSION;
        assert_eq!(same.encrypt(id) == Status::OK, allowed, "{id}");
        assert_eq!(same.encrypt(id) == refused, !allowed, "{id}");
        assert_eq!(same.export(id) == refused, !allowed, "{id}");
        assert_eq!(same.evict(id) == refused, !allowed, "{id}");
        assert_eq!(same.cache_key(id) == Err(refused), !allowed, "{id}");
        for status in [
            same.ask(&key::CommitRequest { id: KeyId(id) }, &[]).0.status,
            same.ask(&key::RevokeRequest { id: KeyId(id) }, &[]).0.status,
            same.ask(&key::EraseRequest { id: KeyId(id) }, &[]).0.status,
            same.ask(&key::ExportPublicRequest { id: KeyId(id), algorithm: 1 }, &[]).0.status,
            same.ask(&key::DataWrapRequest { length: 0, kek: KeyId(id), cipher: 3 }, &[]).0.status,
        ] {
            assert_eq!(status == refused, !allowed, "{id}: {status:?}");
        }
    }
    // Raw object messages are no way around.
    for (id, expected) in [(0x1104, Status::ACCESS), (0x1105, Status::OK), (0x0042, Status::NOT_FOUND)] {
        let answer = same.ask(&nvm::MetadataRequest { id: ObjectId(id) }, &[]).0;
        assert_eq!(answer.status, expected, "{id:#x}");
    }
    // With another client identifier, 5 is another key and 9 of client 1 is out of reach.
    let mut other = Peer::new(&server, 2);
    other.login("listed", b"pin").unwrap();
    assert_eq!(other.cache_key(5), Ok(5));
    assert_eq!(other.cache_key(9), Err(Status::AUTH_PERMISSION));
    // A number that the server picks is a listed one, or none.
    other.evict(5);
    assert_eq!(other.cache_key(0), Ok(5));
    assert_eq!(other.cache_key(0), Err(Status::NO_SPACE));
    // A change holds at once.
    admin.set_permissions(listed, own).unwrap();
    assert_eq!(other.cache_key(9), Ok(9));
    assert_eq!(other.cache_key(0), Ok(0xFF));
}

#[test]
fn lists_of_keys_can_be_ignored_as_in_the_original() {
    let mut store = empty_store();
    let mut options = options();
    options.config.users = Some(UserPolicy { key_lists: false, ..policy() });
    let server = start_with(options, &mut store);
    server.server().provision_user(name(ADMIN), &with_keys(Permissions::all(), &[5]), PIN).unwrap();
    let mut admin = Peer::new(&server, 1);
    admin.login(ADMIN, PIN).unwrap();
    assert_eq!(admin.cache_key(6), Ok(6));
}

// ----- where the original can be got around -----

#[test]
fn no_message_reaches_the_user_database_in_either_isolation() {
    for isolation in [Isolation::Strict, Isolation::Original] {
        let mut store = empty_store();
        let mut options = options();
        options.config.isolation = isolation;
        let server = start_with(options, &mut store);
        server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
        let before = server.store(|store| objects(store));
        assert_eq!(before.len(), 2);
        let mut admin = Peer::new(&server, 1);
        admin.login(ADMIN, PIN).unwrap();
        for id in before.iter().copied().chain([0xFE00, 0xFE01, 0xFEFF]) {
            let id = ObjectId(id);
            let metadata = Metadata { id, length: 4, ..Metadata::default() };
            let destroy = nvm::DestroyRequest::new(&[id]).unwrap();
            for status in [
                admin.ask(&nvm::AddRequest { metadata }, b"evil").0.status,
                admin.ask(&nvm::MetadataRequest { id }, &[]).0.status,
                admin.ask(&destroy, &[]).0.status,
                admin.ask(&nvm::ReadRequest { id, offset: 0, length: 4 }, &[]).0.status,
            ] {
                assert_eq!(status, Status::ACCESS, "{id}");
            }
            // ADDTRUSTED, ERASETRUSTED, READTRUSTED.
            let number = id.0.to_le_bytes();
            let add = [&[4, 0, 0, 0][..], &number, &[0; 30], b"evil"].concat();
            let name = [&number[..], &[0; 6]].concat();
            for (action, payload) in [(2, add), (3, name.clone()), (4, name)] {
                let answer = admin.raw(Group::CERT, action, &payload);
                assert_eq!(answer[..4], (-2101_i32).to_le_bytes(), "{id}: {action}");
            }
        }
        let request = nvm::ListRequest { access: 0, flags: Flags::NONE, start: ObjectId(0) };
        assert_eq!(admin.ask(&request, &[]).0.count, 0);
        assert_eq!(server.store(|store| objects(store)), before);
    }
}

fn objects(store: &RamStore) -> Vec<u16> {
    let mut ids = Vec::new();
    store
        .visit(&mut |metadata| {
            ids.push(metadata.id.0);
            core::ops::ControlFlow::Continue(())
        })
        .unwrap();
    ids.sort_unstable();
    ids
}

// ----- records -----

#[test]
fn what_concerns_users_is_recorded() {
    with_administrator!(server, admin);
    let _ = server.take_records();
    admin.add("worker", groups(&[Group::AUTH]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("nobody", b"pin").unwrap_err();
    worker.login("worker", b"wrong").unwrap_err();
    worker.login("worker", b"wrong").unwrap_err();
    worker.login("worker", b"pin").unwrap();
    assert_eq!(worker.list(), Status::AUTH_PERMISSION);
    worker.set_pin(2, b"pin", b"new").unwrap();
    admin.set_permissions(2, Permissions::NONE).unwrap();
    worker.logout(2).unwrap();
    admin.delete(2).unwrap();
    let records = server.take_records();
    let found: Vec<_> = records
        .iter()
        .filter(|record| record.event != Event::SessionStarted {})
        .map(|record| (record.client.unwrap().get(), record.event))
        .collect();
    let object = ObjectId::INVALID;
    let refused = |status| Event::Refused { object, status };
    assert_eq!(
        found,
        [
            (1, Event::UserAdded { user: 2 }),
            (2, Event::LoginFailed { user: 0, failures: 0 }),
            (2, Event::LoginFailed { user: 2, failures: 1 }),
            (2, Event::LoginFailed { user: 2, failures: 2 }),
            (2, Event::LoggedIn { user: 2 }),
            (2, refused(Status::AUTH_PERMISSION)),
            (2, Event::CredentialSet { user: 2 }),
            (1, Event::PermissionsSet { user: 2 }),
            (2, Event::LoggedOut { user: 2 }),
            (1, Event::UserDeleted { user: 2 }),
        ]
    );
}

// ----- persistence -----

#[test]
fn users_survive_a_restart_and_their_pins_are_not_in_the_flash() {
    let permissions = with_keys(some(&[(Group::NVM, nvm::action::LIST)]), &[0x1305]);
    let mut store = empty_store();
    {
        let server = start(&mut store);
        server.server().provision_user(name(ADMIN), &Permissions::all(), b"a long PIN").unwrap();
        let mut admin = Peer::new(&server, 1);
        admin.login(ADMIN, b"a long PIN").unwrap();
        admin.add("gone", Permissions::NONE, b"pin").unwrap();
        admin.add("worker", permissions, b"worker's PIN").unwrap();
        admin.delete(2).unwrap();
    }
    let image = store.flash().image().to_vec();
    for secret in [&b"a long PIN"[..], b"worker's PIN", b"worker", ADMIN.as_bytes()] {
        assert!(!image.windows(secret.len()).any(|window| window == secret));
    }
    let server = start(&mut store);
    assert_eq!(server.server().user_count(), Ok(2));
    let mut worker = Peer::new(&server, 2);
    assert_eq!(worker.login("worker", b"worker's PIN"), Ok(UserId(3)));
    assert_eq!(worker.list(), Status::OK);
    let mut admin = Peer::new(&server, 1);
    admin.login(ADMIN, b"a long PIN").unwrap();
    assert_eq!(admin.get("worker"), Ok((3, permissions)));
    assert_eq!(admin.get("gone"), Err(Status::NOT_FOUND));
}

/// What loading finds in a store that was changed behind the server's back.
fn load(device_key: Option<[u8; 32]>, store: &mut RamStore) -> Result<bool, UserError> {
    let options = VirtualOptions { device_key, ..options() };
    let server = VirtualServer::with_store(options, store);
    server.server().load_users().map(|loaded| loaded.attempts_lost)
}

fn stored_users(device_key: Option<[u8; 32]>) -> RamStore {
    let mut store = empty_store();
    let server = start_with(VirtualOptions { device_key, ..options() }, &mut store);
    server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
    server.server().provision_user(name("worker"), &Permissions::NONE, b"pin").unwrap();
    drop(server);
    store
}

const USER_1: ObjectId = ObjectId(0xFE40);
const USER_2: ObjectId = ObjectId(0xFE41);
const ATTEMPTS: ObjectId = ObjectId(0xFE3F);

fn object(store: &mut RamStore, id: ObjectId) -> (Metadata, Vec<u8>) {
    let metadata = store.metadata(id).unwrap();
    let mut data = vec![0; metadata.length.into()];
    store.read(id, 0, &mut data).unwrap();
    (metadata, data)
}

#[test]
fn a_changed_moved_or_foreign_record_is_refused() {
    for (device_key, tampered) in [(Some(DEVICE_KEY), 0), (None, 1)] {
        let mut store = stored_users(device_key);
        assert_eq!(load(device_key, &mut store), Ok(false));
        let (metadata, good) = object(&mut store, USER_1);
        assert_eq!(usize::from(metadata.length), 20 + 559 + 16);
        assert_eq!(metadata.flags, Flags(0x0807));
        assert_eq!(good[..5], [b'C', b'M', b'U', 1, 1 - tampered]);
        for offset in 0..good.len() {
            let mut bad = good.clone();
            bad[offset] ^= 0x10;
            store.add(&metadata, &bad).unwrap();
            store.destroy(&[]).unwrap();
            let error = load(device_key, &mut store).unwrap_err();
            let expected = match offset {
                0..8 => UserError::Format(USER_1),
                _ => UserError::NotAuthentic(USER_1),
            };
            assert_eq!(error, expected, "{offset}");
        }
        store.add(&metadata, &good[1..]).unwrap();
        assert_eq!(load(device_key, &mut store), Err(UserError::Format(USER_1)));
        // The record of one user does not make another.
        store.add(&metadata, &good).unwrap();
        store.add(&Metadata { id: USER_2, ..metadata }, &good).unwrap();
        assert_eq!(load(device_key, &mut store), Err(UserError::NotAuthentic(USER_2)));
    }
}

#[test]
fn records_belong_to_a_device_key() {
    let mut sealed = stored_users(Some(DEVICE_KEY));
    assert_eq!(load(Some([1; 32]), &mut sealed), Err(UserError::NotAuthentic(USER_1)));
    assert_eq!(load(None, &mut sealed), Err(UserError::NoDeviceKey(USER_1)));
    // Whoever can write the flash, but does not know the key, cannot plant a user.
    let mut open = stored_users(None);
    assert_eq!(load(Some(DEVICE_KEY), &mut open), Err(UserError::Unsealed(USER_1)));
    let (metadata, planted) = object(&mut open, USER_1);
    sealed.add(&metadata, &planted).unwrap();
    assert_eq!(load(Some(DEVICE_KEY), &mut sealed), Err(UserError::Unsealed(USER_1)));
}

#[test]
fn counts_that_were_removed_lock_everybody_until_the_owner_comes() {
    for remove in [true, false] {
        let mut store = stored_users(Some(DEVICE_KEY));
        if remove {
            store.destroy(&[ATTEMPTS]).unwrap();
        } else {
            let (metadata, mut data) = object(&mut store, ATTEMPTS);
            data[30] ^= 1;
            store.add(&metadata, &data).unwrap();
        }
        assert_eq!(load(Some(DEVICE_KEY), &mut store), Ok(true));
        let server = start(&mut store);
        let mut peer = Peer::new(&server, 1);
        assert_eq!(peer.login(ADMIN, PIN), Err(Status::AUTH_LOGIN_FAILED));
        server.server().provision_user(name(ADMIN), &Permissions::all(), b"new").unwrap();
        assert_eq!(peer.login(ADMIN, b"new"), Ok(UserId(1)));
        assert_eq!(Peer::new(&server, 2).login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
        peer.set_permissions(2, Permissions::NONE).unwrap();
        assert_eq!(Peer::new(&server, 2).login("worker", b"pin"), Ok(UserId(2)));
    }
}

#[test]
fn a_pin_that_was_stored_cheaply_is_stored_anew_at_login() {
    let mut store = stored_users(Some(DEVICE_KEY));
    let before = object(&mut store, USER_1).1;
    let mut costly = options();
    costly.config.users = Some(UserPolicy { pin_iterations: 3, ..policy() });
    {
        let server = start_with(costly.clone(), &mut store);
        let mut peer = Peer::new(&server, 1);
        let mut second = Peer::new(&server, 2);
        assert_eq!(peer.login(ADMIN, b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
        peer.login(ADMIN, PIN).unwrap();
        second.login(ADMIN, PIN).unwrap();
        assert_eq!((peer.list(), second.list()), (Status::OK, Status::OK));
    }
    let after = object(&mut store, USER_1).1;
    assert_ne!(before, after);
    // Once only.
    let server = start_with(costly, &mut store);
    Peer::new(&server, 1).login(ADMIN, PIN).unwrap();
    drop(server);
    assert_eq!(object(&mut store, USER_1).1, after);
}

#[test]
fn without_a_store_users_live_in_memory() {
    let server = VirtualServer::with_store(options(), casemate_nvm::NoStore);
    server.server().load_users().unwrap();
    server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
    let mut admin = Peer::new(&server, 1);
    assert_eq!(admin.login(ADMIN, PIN), Ok(UserId(1)));
    assert_eq!(admin.add("worker", Permissions::NONE, b"pin"), Ok(2));
}

#[test]
fn a_full_store_keeps_nobody_out() {
    let mut store = stored_users(Some(DEVICE_KEY));
    for id in 1..=27 {
        store.add(&Metadata { id: ObjectId(id), ..Metadata::default() }, &[]).unwrap();
    }
    store.destroy(&[]).unwrap();
    assert_eq!(store.available().unwrap().objects, 0);
    let server = start(&mut store);
    let mut admin = Peer::new(&server, 1);
    assert_eq!(admin.login(ADMIN, b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(admin.login(ADMIN, PIN), Ok(UserId(1)));
    assert_eq!(admin.add("third", Permissions::NONE, b"pin"), Err(Status::NO_SPACE));
    assert_eq!(admin.get("third"), Err(Status::NOT_FOUND));
    let destroy = nvm::DestroyRequest::new(&[ObjectId(1), ObjectId(2)]).unwrap();
    assert_eq!(admin.ask(&destroy, &[]).0.status, Status::OK);
    assert_eq!(admin.add("third", Permissions::NONE, b"pin"), Ok(3));
}

// ----- lock-out -----

#[test]
fn failures_cost_waiting_and_in_the_end_the_user() {
    with_administrator!(server, admin);
    admin.add("worker", Permissions::NONE, b"pin").unwrap();
    let mut peer = Peer::new(&server, 2);
    let failed = Err(Status::AUTH_LOGIN_FAILED);
    let mut now = 1_000_000;
    server.set_now(Some(now));
    for _ in 0..3 {
        assert_eq!(peer.login("worker", b"wrong"), failed);
    }
    for delay in [10, 20, 40, 40] {
        // Too early: even the right PIN is refused, and this does not count.
        server.set_now(Some(now + delay - 1));
        for _ in 0..9 {
            assert_eq!(peer.login("worker", b"pin"), failed, "{delay}");
        }
        now += delay;
        server.set_now(Some(now));
        assert_eq!(peer.login("worker", b"wrong"), failed);
    }
    // Seven failures: only an administrator helps.
    server.set_now(Some(now + 1_000_000));
    assert_eq!(peer.login("worker", b"pin"), failed);
    // Nobody else is concerned.
    assert_eq!(Peer::new(&server, 3).login(ADMIN, PIN), Ok(UserId(1)));
    admin.set_permissions(2, Permissions::NONE).unwrap();
    assert_eq!(peer.login("worker", b"pin"), Ok(UserId(2)));
}

#[test]
fn success_forgets_failures_and_waiting_is_worth_it() {
    with_administrator!(server, admin);
    let user = admin.add("worker", Permissions::NONE, b"pin").unwrap();
    let mut peer = Peer::new(&server, 2);
    let mut now = 5000;
    server.set_now(Some(now));
    for _ in 0..4 {
        for _ in 0..3 {
            assert_eq!(peer.login("worker", b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
        }
        now += 10;
        server.set_now(Some(now));
        assert_eq!(peer.login("worker", b"pin"), Ok(UserId(user)));
        peer.logout(user).unwrap();
    }
}

#[test]
fn a_clock_that_is_set_back_starts_the_wait_anew() {
    with_administrator!(server, admin);
    admin.add("worker", Permissions::NONE, b"pin").unwrap();
    let mut peer = Peer::new(&server, 2);
    server.set_now(Some(1_000_000));
    for _ in 0..3 {
        assert_eq!(peer.login("worker", b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    }
    server.set_now(Some(500));
    assert_eq!(peer.login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
    server.set_now(Some(510));
    assert_eq!(peer.login("worker", b"pin"), Ok(UserId(2)));
}

#[test]
fn without_a_clock_the_limit_holds_also_over_restarts() {
    let mut store = stored_users(Some(DEVICE_KEY));
    for _ in 0..LOCKOUT.limit {
        let server = start(&mut store);
        assert_eq!(Peer::new(&server, 1).login("worker", b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    }
    let server = start(&mut store);
    assert_eq!(Peer::new(&server, 1).login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(Peer::new(&server, 1).login(ADMIN, PIN), Ok(UserId(1)));
    // The owner can let a locked administrator in again.
    server.server().provision_user(name("worker"), &Permissions::NONE, b"other").unwrap();
    assert_eq!(Peer::new(&server, 1).login("worker", b"other"), Ok(UserId(2)));
}

/// What the store holds is written for failures only, and they outlive a restart.
#[test]
fn where_power_is_not_cut_on_purpose_logins_need_not_write() {
    let mut options = options();
    let lockout = Lockout { count_first: false, ..LOCKOUT };
    options.config.users = Some(UserPolicy { lockout, ..policy() });
    let mut store = stored_users(Some(DEVICE_KEY));
    let before = object(&mut store, ATTEMPTS).1;
    {
        let server = start_with(options.clone(), &mut store);
        for _ in 0..LOCKOUT.limit {
            assert_eq!(Peer::new(&server, 1).login(ADMIN, PIN), Ok(UserId(1)));
        }
    }
    assert_eq!(object(&mut store, ATTEMPTS).1, before);
    for _ in 0..LOCKOUT.limit {
        let server = start_with(options.clone(), &mut store);
        assert_eq!(Peer::new(&server, 1).login("worker", b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    }
    let server = start_with(options.clone(), &mut store);
    assert_eq!(Peer::new(&server, 1).login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
    // A success after failures is stored as well.
    assert_eq!(Peer::new(&server, 1).login(ADMIN, b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    assert_eq!(Peer::new(&server, 1).login(ADMIN, PIN), Ok(UserId(1)));
    drop(server);
    let server = start_with(options, &mut store);
    for _ in 1..LOCKOUT.limit {
        assert_eq!(Peer::new(&server, 1).login(ADMIN, b"wrong"), Err(Status::AUTH_LOGIN_FAILED));
    }
    assert_eq!(Peer::new(&server, 1).login(ADMIN, PIN), Ok(UserId(1)));
}

#[test]
fn guessing_through_set_credentials_counts_as_well() {
    with_administrator!(server, admin);
    let user = admin.add("worker", groups(&[Group::AUTH]), b"pin").unwrap();
    let mut worker = Peer::new(&server, 2);
    worker.login("worker", b"pin").unwrap();
    for _ in 0..LOCKOUT.limit {
        assert_eq!(worker.set_pin(user, b"wrong", b"new"), Err(Status::ACCESS));
    }
    assert_eq!(worker.set_pin(user, b"pin", b"new"), Err(Status::ACCESS));
    assert_eq!(Peer::new(&server, 3).login("worker", b"pin"), Err(Status::AUTH_LOGIN_FAILED));
}

// ----- the original's database -----

/// The records of the original's server on a little-endian machine (document 07, C.6): the administrator `admin` with
/// PIN 1234, `boss` with a certificate, and `worker` with PIN 4321 and a list of keys.
fn original(store: &mut RamStore) {
    let mut index = vec![0; 2584];
    index[..4].copy_from_slice(&0x5748_4142_u32.to_le_bytes());
    let mut record = |slot: usize, name: &[u8], groups: u8, words: u8, keys: &[u32]| {
        let record = &mut index[4 + 516 * slot..][..516];
        record[0] = u8::try_from(slot + 1).unwrap();
        record[2..2 + name.len()].copy_from_slice(name);
        record[36..51].fill(groups);
        record[52..500].fill(words);
        record[500] = u8::try_from(keys.len()).unwrap();
        for (to, key) in record[504..512].chunks_mut(4).zip(keys) {
            to.copy_from_slice(&key.to_le_bytes());
        }
        record[512] = 1; // active
    };
    record(0, b"admin", 0xFF, 0xFF, &[]);
    record(1, b"boss", 1, 0xFF, &[]);
    record(3, b"worker", 0, 0, &[0x1305]);
    let flags = Flags(0x0007);
    let metadata = |id, label: &[u8]| Metadata {
        id: ObjectId(id),
        access: 0,
        flags,
        length: 0,
        label: Label::from_bytes(label),
    };
    store.add(&metadata(0xFE00, b"auth_user_idx"), &index).unwrap();
    let mut label = *b"auth_cred\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    // SHA-256 of `1234` and of `4321`, by `sha256sum`.
    let admin = bytes("03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4");
    let worker = bytes("fe2592b42a727e977f055947385b709cc82b16b9a87f88c6abf3900d65d0cdc3");
    store.add(&metadata(0xFE01, &label), &admin).unwrap();
    store.add(&metadata(0xFE04, &label), &worker).unwrap();
    label[23] = 2;
    store.add(&metadata(0xFE02, &label), b"a certificate").unwrap();
}

#[test]
fn a_database_of_the_originals_is_taken_over_when_the_owner_says_so() {
    let mut store = empty_store();
    original(&mut store);
    {
        let server = VirtualServer::with_store(options(), &mut store);
        let loaded = server.server().load_users().unwrap();
        assert!(loaded.original && loaded.users == 0);
        // Not by itself: anybody could have written it.
        assert_eq!(Peer::new(&server, 1).login(ADMIN, PIN), Err(Status::AUTH_LOGIN_FAILED));
        let imported = server.server().import_users().unwrap();
        assert_eq!((imported.users, imported.without_pin), (3, 1));
        assert_eq!(server.server().import_users(), Err(UserError::NoOriginal));
        let mut admin = Peer::new(&server, 1);
        assert_eq!(admin.login(ADMIN, PIN), Ok(UserId(1)));
        assert_eq!(admin.get("worker"), Ok((4, with_keys(Permissions::NONE, &[0x1305]))));
        assert_eq!(admin.get("boss").map(|found| found.0), Ok(2));
        assert_eq!(Peer::new(&server, 2).login("boss", b"a certificate"), Err(Status::AUTH_LOGIN_FAILED));
        assert_eq!(Peer::new(&server, 3).login("worker", b"4321"), Ok(UserId(4)));
    }
    assert!(objects(&store).iter().all(|&id| id >= 0xFE3F));
    let server = start(&mut store);
    assert_eq!(Peer::new(&server, 1).login("worker", b"4321"), Ok(UserId(4)));
}

#[test]
fn a_damaged_database_or_one_beside_users_is_not_taken_over() {
    let mut store = stored_users(Some(DEVICE_KEY));
    original(&mut store);
    {
        let server = start(&mut store);
        assert_eq!(server.server().import_users(), Err(UserError::NotEmpty));
    }
    let mut store = empty_store();
    original(&mut store);
    let (metadata, mut index) = object(&mut store, ObjectId(0xFE00));
    index[4] = 2;
    store.add(&metadata, &index).unwrap();
    let server = start(&mut store);
    assert_eq!(server.server().import_users(), Err(UserError::OriginalDamaged));
    assert_eq!(server.server().user_count(), Ok(0));
}

// ----- power cuts -----

type CutStore = FlashStore<PowerCutFlash<8, 64>, Vec<DirectoryEntry>>;

fn mount(flash: PowerCutFlash<8, 64>) -> CutStore {
    FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 12], FlashOptions::new()).unwrap()
}

/// Who can log in with which PIN, asked of a copy: what loading finds after the power came back.
fn logins(image: &[u8]) -> (usize, Vec<bool>) {
    let mut store = mount(PowerCutFlash::from_image(image.to_vec(), 0xFF));
    let server = VirtualServer::with_store(options(), &mut store);
    let loaded = server.server().load_users().expect("a database that can be trusted after a power cut");
    assert!(!loaded.attempts_lost);
    let logins = [(ADMIN, PIN), (ADMIN, b"new"), ("worker", b"pin"), ("worker", b"new")]
        .map(|(user, pin)| Peer::new(&server, 1).login(user, pin).is_ok());
    (loaded.users, logins.to_vec())
}

#[test]
fn a_power_cut_leaves_the_users_as_they_were_or_as_they_were_to_be() {
    type Step = fn(&mut Peer<'_, &mut CutStore>) -> Result<(), Status>;
    let steps: [(&str, Step); 6] = [
        ("add", |admin| admin.add("worker", groups(&[Group::NVM]), b"pin").map(|_| ())),
        ("permissions", |admin| admin.set_permissions(2, Permissions::NONE)),
        ("PIN", |admin| admin.set_pin(2, b"pin", b"new")),
        ("own PIN", |admin| admin.set_pin(1, PIN, b"new")),
        ("delete", |admin| admin.delete(2)),
        ("add again", |admin| admin.add("worker", groups(&[Group::NVM]), b"pin").map(|_| ())),
    ];
    let mut image = {
        let mut store = mount(PowerCutFlash::new(2 * 8192, 0xFF));
        let server = VirtualServer::with_store(options(), &mut store);
        server.server().load_users().unwrap();
        server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
        drop(server);
        store.flash().image().to_vec()
    };
    let mut admin_pin = PIN;
    let mut cuts = 0;
    for (what, step) in steps {
        let run = |fault: Option<(u64, Effect)>| {
            let mut store = mount(PowerCutFlash::from_image(image.clone(), 0xFF));
            // The administrator is logged in before anything is disturbed.
            let before = {
                let server = VirtualServer::with_store(options(), &mut store);
                server.server().load_users().unwrap();
                Peer::new(&server, 1).login(ADMIN, admin_pin).unwrap();
                drop(server);
                store.flash().image().to_vec()
            };
            let mut flash = PowerCutFlash::from_image(before, 0xFF);
            let logged_in = {
                let mut store = mount(flash);
                let server = VirtualServer::with_store(options(), &mut store);
                server.server().load_users().unwrap();
                let mut admin = Peer::new(&server, 1);
                admin.login(ADMIN, admin_pin).unwrap();
                drop(admin);
                drop(server);
                store.unmount().unwrap()
            };
            flash = logged_in;
            // Login itself writes: so the fault counts from its first write on.
            if let Some((operation, effect)) = fault {
                flash.cut_power_at(operation, effect);
            }
            let start = flash.operations();
            let mut store = mount(flash);
            let outcome = {
                let server = VirtualServer::with_store(options(), &mut store);
                server.server().load_users().unwrap();
                let mut admin = Peer::new(&server, 1);
                admin.login(ADMIN, admin_pin).map(|_| ()).and_then(|()| step(&mut admin))
            };
            let operations = store.flash().operations() - start;
            (outcome, store.flash().image().to_vec(), operations)
        };
        let (outcome, done, operations) = run(None);
        assert_eq!(outcome, Ok(()), "{what}");
        let old = logins(&image);
        let new = logins(&done);
        for operation in 0..operations {
            for effect in [Effect::None, Effect::Complete, Effect::First(4), Effect::Garbage(operation)] {
                let (outcome, cut, _) = run(Some((operation, effect)));
                assert!(outcome.is_err(), "{what}, {operation}, {effect:?}");
                let found = logins(&cut);
                assert!(found == old || found == new, "{what}, {operation}, {effect:?}: {found:?}");
                cuts += 1;
            }
        }
        image = done;
        if what == "own PIN" {
            admin_pin = b"new";
        }
    }
    assert!(cuts > 100, "{cuts}");
}

/// Cutting the power while a PIN is checked gains no attempt.
#[test]
fn an_attempt_counts_before_the_pin_is_compared() {
    let mut store = mount(PowerCutFlash::new(2 * 8192, 0xFF));
    {
        let server = VirtualServer::with_store(options(), &mut store);
        server.server().load_users().unwrap();
        server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
    }
    let clean = store.unmount().unwrap().image().to_vec();
    let mut image = clean.clone();
    // The login's second write, which forgets the failures, is cut off each time: the PIN was right all the time.
    let writes_to_charge = {
        let mut store = mount(PowerCutFlash::from_image(clean.clone(), 0xFF));
        let server = VirtualServer::with_store(options(), &mut store);
        server.server().load_users().unwrap();
        Peer::new(&server, 1).login(ADMIN, b"wrong").unwrap_err();
        drop(server);
        store.flash().operations()
    };
    assert!(writes_to_charge > 0);
    for _ in 0..LOCKOUT.limit {
        let mut flash = PowerCutFlash::from_image(image, 0xFF);
        flash.cut_power_at(writes_to_charge, Effect::None);
        let mut store = mount(flash);
        let server = VirtualServer::with_store(options(), &mut store);
        server.server().load_users().unwrap();
        assert!(Peer::new(&server, 1).login(ADMIN, PIN).is_err());
        drop(server);
        image = store.flash().image().to_vec();
    }
    assert_eq!(logins(&image).1, [false; 4]);
    assert_eq!(logins(&clean).1, [true, false, false, false]);
}

// ----- logins by certificate -----

#[cfg(feature = "certificates")]
mod certificates {
    use super::*;
    use casemate_crypto::{HashAlgorithm, hash};
    use casemate_server::CertificateLogin;
    use casemate_testkit::server::TestRandom;

    /// 2030-01-01 12:00:00 UTC.
    const NOW: u64 = 1_893_499_200;
    const PERMITTED: [Group; 2] = [Group::NVM, Group::AUTH];

    fn certificate(name: &str) -> Vec<u8> {
        let text = include_str!("../../x509/tests/data/certificates.txt");
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        hex::decode(lines.find(|(found, _)| *found == name).expect("a certificate").1).unwrap()
    }

    fn fingerprint(certificate: &[u8]) -> [u8; 32] {
        let mut digest = [0; 32];
        let driver = casemate_crypto::Software::new(TestRandom::new(0));
        hash(&driver, HashAlgorithm::Sha256, &[certificate], &mut digest).unwrap();
        digest
    }

    fn options_for(certificates: CertificateLogin) -> VirtualOptions {
        let users = Some(UserPolicy { certificates, ..policy() });
        let config = Config { users, data_length: 2600, ..Config::default() };
        VirtualOptions { config, ..options() }
    }

    /// An administrator, and a user with the certificate of this name.
    fn start_for<'s>(
        certificates: CertificateLogin,
        store: &'s mut RamStore,
        credential: &str,
    ) -> Server<'s> {
        let server = start_with(options_for(certificates), store);
        server.set_now(Some(NOW));
        if server.server().user_count() == Ok(0) {
            server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
            let mut admin = Peer::new(&server, 1);
            admin.login(ADMIN, PIN).unwrap();
            let credential = certificate(credential);
            assert_eq!(admin.add_by(method::CERTIFICATE, "worker", groups(&PERMITTED), &credential), Ok(2));
        }
        server
    }

    /// A client whose transport has proven that it has the key of this certificate.
    fn proven<'s, 'm>(server: &'s Server<'m>, certificate: &[u8]) -> Peer<'s, &'m mut RamStore> {
        let mut peer = Peer::silent(server);
        peer.session = server.session().with_certificate(fingerprint(certificate));
        assert_eq!(peer.raw(Group::COMM, 1, &[2, 0, 0, 0]).len(), 8);
        peer
    }

    fn show(peer: &mut Peer<'_, &mut RamStore>, presented: &[u8]) -> Result<UserId, Status> {
        peer.login_by(method::CERTIFICATE, "worker", presented)
    }

    #[test]
    fn they_are_off_unless_asked_for() {
        with_administrator!(server, admin);
        let credential = certificate("root");
        let added = admin.add_by(method::CERTIFICATE, "worker", Permissions::NONE, &credential);
        assert_eq!(added, Err(Status::BAD_ARGUMENTS));
        admin.add("worker", groups(&PERMITTED), b"pin").unwrap();
        assert_eq!(
            admin.set_credentials(2, method::CERTIFICATE, b"pin", &credential),
            Err(Status::BAD_ARGUMENTS)
        );
        let mut peer = Peer::new(&server, 2);
        let shown = peer.login_by(method::CERTIFICATE, "worker", &credential);
        assert_eq!(shown, Err(Status::BAD_ARGUMENTS));
    }

    #[test]
    fn the_key_of_the_certificate_has_to_be_proven() {
        let mut store = empty_store();
        let server = start_for(CertificateLogin::Proven, &mut store, "inter");
        let leaf = certificate("leaf");
        let refused = Err(Status::AUTH_LOGIN_FAILED);
        assert_eq!(show(&mut proven(&server, &leaf), &leaf), Ok(UserId(2)));
        // The same certificate over a transport that proves nothing, or that has proven another one.
        let mut plain = Peer::new(&server, 2);
        assert_eq!(show(&mut plain, &leaf), refused);
        assert_eq!(plain.list(), Status::AUTH_PERMISSION);
        assert_eq!(show(&mut proven(&server, &certificate("leaf-second")), &leaf), refused);
        // What follows the first certificate is not looked at, as in the original.
        let more = [&leaf[..], &certificate("inter")].concat();
        assert_eq!(show(&mut proven(&server, &leaf), &more), Ok(UserId(2)));
        // The user's own certificate, if its key is proven.
        let inter = certificate("inter");
        assert_eq!(show(&mut proven(&server, &inter), &inter), refused, "its issuer is not trusted");
        let mut peer = proven(&server, &leaf);
        assert_eq!(peer.login_by(method::CERTIFICATE, "nobody", &leaf), refused);
        assert_eq!(peer.login_by(method::CERTIFICATE, ADMIN, &leaf), refused, "has a PIN");
        assert_eq!(peer.login("worker", &leaf), refused, "has no PIN");
        assert_eq!(show(&mut peer, &leaf), Ok(UserId(2)));
        assert_eq!(peer.list(), Status::OK);
        assert_eq!(peer.evict(1), Status::AUTH_PERMISSION);
        assert_eq!(show(&mut peer, &leaf), refused, "already logged in");
    }

    #[test]
    fn the_users_certificate_decides_who_gets_in() {
        for (credential, presented, expected) in [
            ("inter", "leaf", true),
            ("inter", "leaf-second", true),
            ("inter", "leaf-expired", false),
            ("inter", "leaf-future", false),
            ("inter", "leaf-critical", false),
            ("inter", "other-leaf", false),
            ("root", "leaf", false),
            ("root", "root", true),
            ("root", "inter", true),
            ("self-leaf", "self-leaf", true),
            ("self-leaf", "leaf", false),
            ("other-root", "other-inter", true),
            ("anchor-expired", "leaf-of-anchor-expired", false),
        ] {
            let mut store = empty_store();
            let server = start_for(CertificateLogin::Proven, &mut store, credential);
            let presented_bytes = certificate(presented);
            let result = show(&mut proven(&server, &presented_bytes), &presented_bytes);
            assert_eq!(result.is_ok(), expected, "{presented} with {credential}: {result:?}");
            let mut changed = presented_bytes.clone();
            *changed.last_mut().unwrap() ^= 1;
            // A pinned certificate is itself the trust: what is compared then is the bytes.
            assert_eq!(show(&mut proven(&server, &changed), &changed), Err(Status::AUTH_LOGIN_FAILED));
        }
    }

    #[test]
    fn as_in_the_original_a_certificate_alone_can_be_enough() {
        let mut store = empty_store();
        let server = start_for(CertificateLogin::Replayable, &mut store, "inter");
        for _ in 0..30 {
            let mut peer = Peer::new(&server, 3);
            assert_eq!(show(&mut peer, &certificate("other-leaf")), Err(Status::AUTH_LOGIN_FAILED));
        }
        let mut peer = Peer::new(&server, 3);
        assert_eq!(show(&mut peer, &[]), Err(Status::AUTH_LOGIN_FAILED));
        assert_eq!(show(&mut peer, b"no certificate"), Err(Status::AUTH_LOGIN_FAILED));
        // Certificates cannot be guessed: nobody is locked out.
        assert_eq!(show(&mut peer, &certificate("leaf")), Ok(UserId(2)));
        let failures = server.take_records();
        let failed = |record: &&casemate_server::audit::Record| {
            record.event == Event::LoginFailed { user: 2, failures: 0 }
        };
        assert_eq!(failures.iter().filter(failed).count(), 32);
        assert_eq!(failures.last().unwrap().event, Event::LoggedIn { user: 2 });
    }

    #[test]
    fn certificates_are_set_changed_and_removed() {
        let mut store = empty_store();
        let server = start_for(CertificateLogin::Replayable, &mut store, "inter");
        let mut admin = Peer::new(&server, 1);
        admin.login(ADMIN, PIN).unwrap();
        let (inter, root) = (certificate("inter"), certificate("root"));
        let mut set =
            |current: &[u8], new: &[u8]| admin.set_credentials(2, method::CERTIFICATE, current, new);
        assert_eq!(set(&[], &root), Err(Status::ACCESS));
        assert_eq!(set(&root, &root), Err(Status::ACCESS), "not the present one");
        assert_eq!(set(&inter, b"no certificate"), Err(Status::BAD_ARGUMENTS));
        assert_eq!(set(&inter, &root), Ok(()));
        assert_eq!(show(&mut Peer::new(&server, 3), &certificate("leaf")), Err(Status::AUTH_LOGIN_FAILED));
        assert_eq!(show(&mut Peer::new(&server, 3), &inter), Ok(UserId(2)));
        assert_eq!(set(&root, &[]), Ok(()));
        assert_eq!(show(&mut Peer::new(&server, 3), &inter), Err(Status::AUTH_LOGIN_FAILED));
        assert_eq!(set(&[], &inter), Ok(()));
        // From a certificate to a PIN and back.
        assert_eq!(admin.set_pin(2, &inter, b"pin"), Ok(()));
        assert_eq!(Peer::new(&server, 3).login("worker", b"pin"), Ok(UserId(2)));
        assert_eq!(admin.set_credentials(2, method::CERTIFICATE, b"pin", &inter), Ok(()));
        // The last administrator keeps its PIN: logins by certificate can be switched off.
        assert_eq!(admin.set_credentials(1, method::CERTIFICATE, PIN, &inter), Err(Status::ACCESS));
        let too_long = vec![0x30; 2049];
        let added = admin.add_by(method::CERTIFICATE, "second", Permissions::NONE, &too_long);
        assert_eq!(added, Err(Status::BUFFER_SIZE));
        assert_eq!(
            admin.add_by(method::CERTIFICATE, "second", Permissions::NONE, b"no certificate"),
            Err(Status::BAD_ARGUMENTS)
        );
        let objects = |server: &Server<'_>| {
            let has = |id: &u16| server.store(|store| store.metadata(ObjectId(*id)).is_ok());
            (0xFE48..0xFE52_u16).filter(has).count()
        };
        assert_eq!(objects(&server), 1, "what no record names is gone");
        admin.delete(2).unwrap();
        assert_eq!(objects(&server), 0);
        admin.add_by(method::CERTIFICATE, "worker", groups(&PERMITTED), &root).unwrap();
        assert_eq!(show(&mut Peer::new(&server, 3), &inter), Ok(UserId(2)));
    }

    #[test]
    fn they_survive_a_restart_and_planted_ones_do_not_count() {
        let mut store = empty_store();
        drop(start_for(CertificateLogin::Replayable, &mut store, "inter"));
        {
            let server = start_for(CertificateLogin::Replayable, &mut store, "inter");
            assert_eq!(show(&mut Peer::new(&server, 3), &certificate("leaf")), Ok(UserId(2)));
        }
        {
            // Without the option, nobody logs in with one, and the server starts.
            let server = start_for(CertificateLogin::Off, &mut store, "inter");
            assert_eq!(show(&mut Peer::new(&server, 3), &certificate("leaf")), Err(Status::BAD_ARGUMENTS));
        }
        let planted = ObjectId(0xFE4A);
        let (metadata, _) = object(&mut store, planted);
        store.add_with_reclaim(&metadata, &certificate("other-root")).unwrap();
        let server = start_for(CertificateLogin::Replayable, &mut store, "inter");
        for presented in ["other-leaf", "other-inter", "leaf"] {
            let result = show(&mut Peer::new(&server, 3), &certificate(presented));
            assert_eq!(result, Err(Status::ABORTED), "{presented}");
        }
    }

    #[test]
    fn a_power_cut_leaves_the_old_certificate_or_the_new_one() {
        let options = || options_for(CertificateLogin::Replayable);
        let mount_large = |flash: PowerCutFlash<8, 64>| -> CutStore {
            FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 12], FlashOptions::new()).unwrap()
        };
        let prepared = {
            let mut store = mount_large(PowerCutFlash::new(2 * 16_384, 0xFF));
            let server = VirtualServer::with_store(options(), &mut store);
            server.server().load_users().unwrap();
            server.server().provision_user(name(ADMIN), &Permissions::all(), PIN).unwrap();
            let mut admin = Peer::new(&server, 1);
            admin.login(ADMIN, PIN).unwrap();
            admin.add_by(method::CERTIFICATE, "worker", groups(&PERMITTED), &certificate("inter")).unwrap();
            drop(admin);
            drop(server);
            store.flash().image().to_vec()
        };
        let run = |fault: Option<(u64, Effect)>| {
            let mut flash = PowerCutFlash::from_image(prepared.clone(), 0xFF);
            if let Some((operation, effect)) = fault {
                flash.cut_power_at(operation, effect);
            }
            let mut store = mount_large(flash);
            let outcome = {
                let server = VirtualServer::with_store(options(), &mut store);
                server.server().load_users().unwrap();
                let mut admin = Peer::new(&server, 1);
                let (old, new) = (certificate("inter"), certificate("other-root"));
                admin
                    .login(ADMIN, PIN)
                    .and_then(|_| admin.set_credentials(2, method::CERTIFICATE, &old, &new))
            };
            (outcome, store.flash().image().to_vec(), store.flash().operations())
        };
        let who = |image: &[u8]| {
            let mut store = mount_large(PowerCutFlash::from_image(image.to_vec(), 0xFF));
            let server = VirtualServer::with_store(options(), &mut store);
            server.set_now(Some(NOW));
            assert_eq!(server.server().load_users().unwrap().users, 2);
            ["leaf", "other-inter"].map(|presented| {
                let mut peer = Peer::new(&server, 3);
                peer.login_by(method::CERTIFICATE, "worker", &certificate(presented)).is_ok()
            })
        };
        let (outcome, done, operations) = run(None);
        assert_eq!((outcome, who(&done)), (Ok(()), [false, true]));
        let mut seen = [0; 2];
        for operation in 0..operations {
            for effect in [Effect::None, Effect::Complete, Effect::First(4)] {
                let (_, cut, _) = run(Some((operation, effect)));
                let found = who(&cut);
                assert!(found[0] != found[1], "{operation}, {effect:?}: {found:?}");
                seen[usize::from(found[1])] += 1;
            }
        }
        assert!(seen[0] > 10 && seen[1] > 0, "{seen:?}");
    }
}
