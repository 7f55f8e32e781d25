//! Messages for users as document 07, C.4 lays them out, and answers of servers with and without users.

mod common;

use casemate_client::authentication::{Credential, Permissions, UserId, UserName};
use casemate_protocol::{Group, Kind, Status};
use common::Script;

fn name(text: &str) -> UserName {
    UserName::new(text.as_bytes()).unwrap()
}

#[test]
fn messages_have_the_layout_of_the_reference() {
    let mut permissions = Permissions::NONE;
    permissions.set_action(Kind::new(Group::NVM, 5), true);
    // Group byte 2; action 5 of group 2 is bit 5 of byte 15 + 64.
    let block = "0000 01 00*12 00*64 20 00*383 0000 00*8";
    let mut script = Script::new()
        .exchange(
            "01A5 000D 0100 0000 0100 61646D696E 00*27 0400 31323334",
            "01A5 000D 0100 0000 00000000 0100 EEEE",
        )
        .exchange(
            &format!("01A5 020D 0200 0000 776F726B6572 00*26 {block} 00 0100 0300 70696E"),
            "01A5 020D 0200 0000 00000000 0200 EEEE",
        )
        .exchange(
            &format!("01A5 020D 0300 0000 62 00*31 {block} 00 0000 0000"),
            "01A5 020D 0300 0000 30F8FFFF 0000 0000",
        )
        .exchange(
            "01A5 040D 0400 0000 776F726B6572 00*26 0000",
            &format!("01A5 040D 0400 0000 00000000 0200 {block} EE"),
        )
        .exchange(&format!("01A5 050D 0500 0000 0200 {block} 00"), "01A5 050D 0500 0000 00000000")
        .exchange("01A5 060D 0600 0000 0200 0100 0300 0200 70696E 3432", "01A5 060D 0600 0000 CBF7FFFF")
        .exchange("01A5 030D 0700 0000 0200 0000", "01A5 030D 0700 0000 00000000")
        .exchange("01A5 010D 0800 0000 0100 0000", "01A5 010D 0800 0000 00000000");
    let mut client = script.client();
    assert_eq!(client.login(name("admin"), Credential::Pin(b"1234")).unwrap(), UserId(1));
    let pin = Some(Credential::Pin(b"pin"));
    assert_eq!(client.user_add(name("worker"), &permissions, pin).unwrap(), UserId(2));
    let refused = client.user_add(name("b"), &permissions, None);
    assert_eq!(refused.unwrap_err().status(), Some(Status::BAD_ARGUMENTS));
    assert_eq!(client.user_get(name("worker")).unwrap(), (UserId(2), permissions));
    client.user_set_permissions(UserId(2), &permissions).unwrap();
    let refused = client.user_set_credential(UserId(2), b"pin", Credential::Pin(b"42"));
    assert_eq!(refused.unwrap_err().status(), Some(Status::ACCESS));
    client.user_delete(UserId(2)).unwrap();
    client.logout(UserId(1)).unwrap();
    drop(client);
    assert!(script.is_finished());
}

/// A server without users answers everything with four bytes, and the original's gate most things.
#[test]
fn short_refusals_are_understood() {
    let mut script = Script::new()
        .exchange("01A5 000D 0100 0000 0200 61 00*31 0000", "01A5 000D 0100 0000 02F7FFFF")
        .exchange("01A5 040D 0200 0000 61 00*31 0000", "01A5 040D 0200 0000 02F7FFFF")
        .exchange("01A5 0008 0300 0000 00000000 0100 0000", "01A5 0008 0300 0000 03F7FFFF");
    let mut client = script.client();
    let not_enabled = Some(Status::AUTH_NOT_ENABLED);
    assert_eq!(client.login(name("a"), Credential::Certificate(b"")).unwrap_err().status(), not_enabled);
    assert_eq!(client.user_get(name("a")).unwrap_err().status(), not_enabled);
    assert_eq!(client.counter_init(1, 0).unwrap_err().status(), Some(Status::AUTH_PERMISSION));
    drop(client);
    assert!(script.is_finished());
}
