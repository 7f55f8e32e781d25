//! Custom callbacks: calls, queries, byte orders, and what they may do with client memory.

mod common;

use casemate_protocol::message::custom::{CustomMessage, CustomRequest, CustomResponse, Dma32, Dma64};
use casemate_protocol::{ByteOrder, Group, Layout, Status};
use casemate_server::{CustomAnswer, CustomCall, MemoryError, SliceMemory};
use casemate_testkit::server::VirtualServer;
use common::{Client, bytes};

fn ask(client: &mut Client<'_>, id: u32, message: CustomMessage) -> CustomResponse {
    let mut payload = vec![0; CustomRequest::SIZE];
    CustomRequest { id, message }.encode(client.order, &mut payload).unwrap();
    let answer = client.raw(Group::CUSTOM, id.to_le_bytes()[0], &payload);
    let (response, rest) = CustomResponse::decode(&answer, client.order).unwrap();
    assert!(rest.is_empty());
    response
}

/// Reverses the data, and returns the identifier and the client.
fn reverse(call: &mut CustomCall<'_>) -> CustomAnswer {
    let CustomMessage::User { custom_type, mut data } = *call.message() else {
        return CustomAnswer { returned: -1, message: *call.message() };
    };
    data.reverse();
    let returned = (call.id() as i32) * 16 + i32::from(call.client().get());
    CustomAnswer { returned, message: CustomMessage::User { custom_type: custom_type + 1, data } }
}

/// Adds one to every byte of the client's buffer.
fn increment(call: &mut CustomCall<'_>) -> CustomAnswer {
    let (address, length) = match *call.message() {
        CustomMessage::Dma32(words) => (u64::from(words.client_address), u64::from(words.client_size)),
        CustomMessage::Dma64(words) => (words.client_address, words.client_size),
        _ => return CustomAnswer::number(-2),
    };
    let mut data = vec![0; usize::try_from(length.min(1000)).unwrap()];
    let result = call.read(address, &mut data).and_then(|()| {
        data.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        call.write(address, &data)
    });
    CustomAnswer {
        returned: match result {
            Ok(()) => 0,
            Err(MemoryError::OutOfRange) => -3,
            Err(MemoryError::Unavailable) => -4,
            Err(_) => -5,
        },
        message: *call.message(),
    }
}

fn server() -> VirtualServer {
    let mut server = VirtualServer::default();
    server.register(1, reverse);
    server.register(5, increment);
    server
}

#[test]
fn without_callbacks_there_are_no_such_messages() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    assert!(client.raw(Group::CUSTOM, 0, &[0; 264]).is_empty());
    assert_eq!(client.raw(Group::COMM, 4, &[])[24..28], [0; 4]);
}

#[test]
fn queries_say_what_is_registered_and_call_nothing() {
    let server = server();
    let mut client = Client::new(&server, 3);
    assert_eq!(client.raw(Group::COMM, 4, &[])[24..28], [6, 0, 0, 0], "INFO counts them");
    for id in 0..6 {
        let response = ask(&mut client, id, CustomMessage::QUERY);
        let error = if matches!(id, 1 | 5) { Status::OK } else { Status::NO_HANDLER };
        let message = CustomMessage::QUERY;
        assert_eq!(response, CustomResponse { id, message, returned: Status::OK, error });
    }
    // Exchange N of document 01, §14: every byte behind the error is zero.
    let answer = client.raw(Group::CUSTOM, 0, &bytes("00*8 AA*256"));
    assert_eq!(answer, bytes("00*12 29F8FFFF 00*256"));
}

#[test]
fn callbacks_get_and_give_bytes() {
    let server = server();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut client = Client::new(&server, 3);
        client.order = order;
        let mut data = [0; 256];
        data[..3].copy_from_slice(b"abc");
        let response = ask(&mut client, 0x0701, CustomMessage::User { custom_type: 8, data });
        data.reverse();
        assert_eq!(response.message, CustomMessage::User { custom_type: 9, data });
        assert_eq!((response.id, response.returned), (0x0701, Status(0x0701 * 16 + 3)));
        assert_eq!(response.error, Status::OK);
        // A reserved type carries nothing in either direction.
        let response = ask(&mut client, 1, CustomMessage::Empty(5));
        assert_eq!((response.message, response.returned), (CustomMessage::Empty(5), Status(-1)));
        let mut payload = vec![0xAA; 264];
        CustomRequest { id: 1, message: CustomMessage::Empty(7) }.encode(order, &mut payload).unwrap();
        payload[8..].fill(0xAA);
        assert_eq!(client.raw(Group::CUSTOM, 1, &payload)[16..], [0; 256]);
    }
}

#[test]
fn callbacks_reach_client_memory_in_both_forms_and_byte_orders() {
    let server = server();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut client = Client::new(&server, 3);
        client.order = order;
        let dma32 = |client_address, client_size| {
            CustomMessage::Dma32(Dma32 { client_address, client_size, server_address: 7, server_size: 8 })
        };
        let dma64 = |client_address, client_size| {
            CustomMessage::Dma64(Dma64 { client_address, client_size, server_address: 7, server_size: 8 })
        };
        assert_eq!(ask(&mut client, 5, dma32(0, 4)).returned, Status(-4), "nothing is shared");
        let memory: &'static mut [u8] = Box::leak(vec![0; 64].into_boxed_slice());
        client.memory = Some(Box::new(SliceMemory(memory)));
        let response = ask(&mut client, 5, dma32(60, 4));
        assert_eq!((response.message, response.returned), (dma32(60, 4), Status::OK));
        let response = ask(&mut client, 5, dma64(0, 64));
        assert_eq!((response.message, response.returned), (dma64(0, 64), Status::OK));
        for bad in [dma32(61, 4), dma32(u32::MAX, 4), dma64(u64::MAX, 4), dma64(u64::MAX - 3, 4)] {
            assert_eq!(ask(&mut client, 5, bad).returned, Status(-3), "{bad:?}");
        }
        assert_eq!(ask(&mut client, 5, dma64(u64::MAX, 0)).returned, Status::OK, "nothing to copy");
    }
}

#[test]
fn other_sizes_and_numbers_have_no_answer() {
    let server = server();
    let mut client = Client::new(&server, 3);
    for size in [0, 8, 263, 265] {
        assert!(client.raw(Group::CUSTOM, 1, &vec![0; size]).is_empty());
    }
    assert!(client.raw(Group::CUSTOM, 6, &[0; 264]).is_empty());
    assert!(client.raw(Group::CUSTOM, 255, &[0; 264]).is_empty());
    let mut silent = Client::silent(&server);
    let refused = silent.raw(Group::CUSTOM, 1, &[0; 264]);
    assert_eq!(refused.len(), 272);
    assert_eq!(refused[12..16], Status::ACCESS.0.to_le_bytes(), "before INIT");
}
