//! Any custom messages to callbacks that answer with anything: no panic; the response has its one size, repeats the
//! identifier, carries what the callback said and zeros behind it, and nothing that was in the buffer before.

#![no_main]

use arbitrary::Arbitrary;
use casemate_protocol::message::custom::{
    CustomMessage, CustomRequest, CustomResponse, DATA_SIZE, Dma32, Dma64, custom_type,
};
use casemate_protocol::{ByteOrder, Layout, Status};
use casemate_server::{CustomAnswer, CustomCall};
use casemate_testkit::server::VirtualServer;
use libfuzzer_sys::fuzz_target;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Message {
    kind: u8,
    custom_type: u32,
    words: [u64; 4],
    data: [u8; DATA_SIZE],
}

impl Message {
    /// A message as a callback can make it, with any number for a type.
    fn any(&self) -> CustomMessage {
        let [client_address, client_size, server_address, server_size] = self.words;
        let short = self.words.map(|word| word as u32);
        match self.kind % 4 {
            0 => CustomMessage::Empty(self.custom_type),
            1 => CustomMessage::Dma32(Dma32 {
                client_address: short[0],
                client_size: short[1],
                server_address: short[2],
                server_size: short[3],
            }),
            2 => CustomMessage::Dma64(Dma64 { client_address, client_size, server_address, server_size }),
            _ => CustomMessage::User { custom_type: self.custom_type, data: self.data },
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Step {
    big_endian: bool,
    action: u8,
    id: u32,
    question: Message,
    /// The payload as it is sent, if it is not `question` in good order.
    raw: Option<Vec<u8>>,
    answer: Message,
    returned: i32,
}

/// How many bytes of data belong to a type.
fn data_size(custom_type: u32) -> usize {
    match custom_type {
        custom_type::DMA32 => 16,
        custom_type::DMA64 => 32,
        custom_type::FIRST_USER.. => DATA_SIZE,
        _ => 0,
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let answer = Rc::new(Cell::new(CustomAnswer::number(0)));
    let seen = Rc::new(RefCell::new(None));
    let mut server = VirtualServer::default();
    let (give, note) = (Rc::clone(&answer), Rc::clone(&seen));
    server.register(2, move |call: &mut CustomCall<'_>| {
        *note.borrow_mut() = Some((call.id(), *call.message()));
        give.get()
    });
    let size = server.server().packet_size();
    let mut session = server.session();
    server.request(&mut session, &[1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0]).expect("INIT is a packet");
    for Step { big_endian, action, id, question, raw, answer: next, returned } in steps {
        let order = if big_endian { ByteOrder::Big } else { ByteOrder::Little };
        let action = action % 4;
        let is_raw = raw.is_some();
        let payload = raw.unwrap_or_else(|| {
            let mut payload = vec![0; CustomRequest::SIZE];
            CustomRequest { id, message: question.any() }.encode(order, &mut payload).expect("room");
            payload
        });
        if payload.len() > size - 8 {
            continue;
        }
        answer.set(CustomAnswer { returned, message: next.any() });
        let head = if big_endian { [0xA5, 1, 10, action] } else { [1, 0xA5, action, 10] };
        let packet = [&head[..], &[0; 4], &payload].concat();
        let answers = [0, 0xA7].map(|fill| {
            *seen.borrow_mut() = None;
            let mut response = vec![fill; size];
            let reply = server.handle(&mut session, &packet, &mut response).expect("a packet");
            response[8..reply.length].to_vec()
        });
        assert_eq!(answers[0], answers[1], "a response depends on what was in the buffer");
        let request = CustomRequest::decode_exact(&payload, order);
        assert!(is_raw || request.is_ok());
        let (Ok(request), true) = (request, action < 3) else {
            assert!(answers[0].is_empty() && seen.borrow().is_none());
            continue;
        };
        assert_eq!(answers[0].len(), CustomResponse::SIZE);
        let response = CustomResponse::decode_exact(&answers[0], order).expect("a response");
        assert_eq!(response.id, request.id);
        let called = action == 2 && request.message.custom_type() != custom_type::QUERY;
        assert_eq!(seen.borrow().is_some(), called);
        if called {
            assert_eq!(*seen.borrow(), Some((request.id, request.message)));
            assert_eq!((response.returned, response.error), (Status(returned), Status::OK));
        } else {
            let error = if action == 2 { Status::OK } else { Status::NO_HANDLER };
            assert_eq!((response.returned, response.error), (Status::OK, error));
        }
        let used = data_size(response.message.custom_type());
        assert!(answers[0][16 + used..].iter().all(|byte| *byte == 0), "bytes behind the data");
    }
});
