//! Users.

use super::Generator;
use crate::compare::step::Step;
use casemate_protocol::Group;
use casemate_protocol::message::authentication;

impl Generator {
    pub(super) fn authentication(&mut self) -> Step {
        use authentication::{Permissions, UserId, UserName};
        let order = self.order;
        let name = self.random.pick(&[&b"one"[..], b"one", b"two", b"three", &[b'x'; 31]]);
        // None of these names is empty or too long.
        let name = UserName::new(name).unwrap_or_default();
        let pin =
            self.random.pick(&[&b"1111"[..], b"1111", b"2222", b"", b"12345678901234567890123456789012"]);
        let method = self.random.pick(&[1, 1, 1, 1, 0, 3]);
        let user = UserId(self.random.pick(&[2, 2, 3, 4, 5, 6, 0, u16::MAX]));
        let permissions = match self.random.below(3) {
            0 => Permissions::NONE,
            1 => Permissions::all(),
            _ => {
                let mut some = Permissions::NONE;
                some.set_group(Group::NVM, true);
                some
            }
        };
        match self.random.below(10) {
            0 | 1 => {
                let request = authentication::LoginRequest { method, name, length: pin.len() as u16 };
                Step::plain("login", order, &request, pin)
            }
            2 => Step::plain("logout", order, &authentication::LogoutRequest { user }, &[]),
            3..=5 => {
                let length = self.declared(pin) as u16;
                let request = authentication::UserAddRequest { name, permissions, method, length };
                Step::plain("add user", order, &request, pin)
            }
            6 => Step::plain("delete user", order, &authentication::UserDeleteRequest { user }, &[]),
            7 => Step::plain("get user", order, &authentication::UserGetRequest { name }, &[]),
            8 => {
                let request = authentication::SetPermissionsRequest { user, permissions };
                Step::plain("set permissions", order, &request, &[])
            }
            _ => {
                let new = self.random.pick(&[&b"1111"[..], b"2222", b""]);
                let request = authentication::SetCredentialsRequest {
                    user,
                    method,
                    current_length: pin.len() as u16,
                    new_length: new.len() as u16,
                };
                Step::plain("set credentials", order, &request, &[pin, new].concat())
            }
        }
    }
}
