//! What a hostile peer can put before `wolfssl`: any bytes to a client or a server, and any change to the bytes of a real
//! conversation. No panic; an error is for good; and one connection never holds more memory than its share, however long
//! the records are said to be.

#![no_main]

use arbitrary::Arbitrary;
use casemate_micropython::tls::{Context, Failure, Session, VerifyMode};
use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.with(|held| {
            held.set(held.get().wrapping_add(layout.size()));
            MOST.with(|most| most.set(most.get().max(held.get())));
        });
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get().wrapping_sub(layout.size())));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More than both ends of a conversation ever need: a message of 64 KiB and records of 16 KiB, in each state that they
/// pass through.
const LIMIT: usize = 700 * 1024;

/// A certificate for board.local and its key; not secret.
const CERTIFICATE: &str = "3082019a3082013fa003020102021436484a27ddacc96676ef2982eeb50b6c2cba9ac9300a06082a8648ce3d04030230\
    163114301206035504030c0b626f6172642e6c6f63616c301e170d3230303130313030303030305a170d343630313031\
    3030303030305a30163114301206035504030c0b626f6172642e6c6f63616c3059301306072a8648ce3d020106082a86\
    48ce3d03010703420004f3621340ffa2003cdfc45a7d7284859c61d3f547bbef24a2b62378e87ed83b563e49dc728181\
    0036c66673c98e5f2a56b44395f3e0bcf83e9f681f1fc0a56713a36b3069301d0603551d0e04160414954c2c2fe1b6bf\
    60638ece26e261877c0718c7c1301f0603551d23041830168014954c2c2fe1b6bf60638ece26e261877c0718c7c1300f\
    0603551d130101ff040530030101ff30160603551d11040f300d820b626f6172642e6c6f63616c300a06082a8648ce3d\
    0403020349003046022100ddeaed5b428f4e9c6457a0d37fa156bbc404c63a8538c7ecdf53d6b94b79d83e022100cb9c\
    3c4c506cdb515f26c5264b431fc7c50b212dac25876de74c8008feee2274";
const KEY: &str = "307702010104209a0ac5efae0b6c29160187358c4c30195d221725799a7eae2d7f51e82b0be54fa00a06082a8648ce3d\
    030107a14403420004f3621340ffa2003cdfc45a7d7284859c61d3f547bbef24a2b62378e87ed83b563e49dc72818100\
    36c66673c98e5f2a56b44395f3e0bcf83e9f681f1fc0a56713";

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn session(server: bool, mutual: bool) -> Session {
    let mut context = Context::new(server);
    if server || mutual {
        context.load_key(&bytes(KEY), &bytes(CERTIFICATE)).unwrap();
    }
    if !server || mutual {
        context.add_anchors(&bytes(CERTIFICATE)).unwrap();
        context.set_mode(VerifyMode::Required);
    }
    context.prepare(!server).unwrap();
    context.session((!server).then_some("board.local")).unwrap()
}

/// One end, and what it has said before.
struct End {
    session: Session,
    failure: Option<Failure>,
}

impl End {
    fn new(server: bool, mutual: bool) -> Self {
        Self { session: session(server, mutual), failure: None }
    }

    fn note<T>(&mut self, result: Result<T, Failure>) {
        match (self.failure, result) {
            (Some(before), Err(now)) => assert_eq!(before, now, "an error is for good"),
            (Some(_), Ok(_)) => {}
            (None, Err(now)) => self.failure = Some(now),
            (None, Ok(_)) => {}
        }
    }

    /// Takes bytes from the transport, as far as they are wanted.
    fn receive(&mut self, mut data: &[u8]) {
        let mut space = [0; 300];
        while !data.is_empty() && self.failure.is_none() {
            match self.session.input() {
                Ok(room) => {
                    assert!(!room.is_empty(), "there is always room");
                    let count = room.len().min(data.len());
                    room[..count].copy_from_slice(&data[..count]);
                    data = &data[count..];
                    self.session.filled(count);
                }
                Err(failure) => return self.note::<()>(Err(failure)),
            }
            loop {
                let result = self.session.read(&mut space);
                let more = matches!(result, Ok((count, _)) if count > 0);
                self.note(result);
                if !more {
                    break;
                }
            }
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        let output = self.session.output().to_vec();
        self.session.sent(output.len());
        output
    }
}

#[derive(Arbitrary, Debug)]
enum Change {
    Flip { at: u16, mask: u8 },
    Insert { at: u16, data: Vec<u8> },
    Remove { at: u16, count: u16 },
    Repeat,
    Nothing,
}

fn change(data: &mut Vec<u8>, change: &Change) {
    let place = |at: u16, length: usize| usize::from(at) % (length + 1);
    match change {
        Change::Flip { at, mask } => {
            let at = place(*at, data.len());
            if let Some(byte) = data.get_mut(at) {
                *byte ^= mask;
            }
        }
        Change::Insert { at, data: more } => {
            let at = place(*at, data.len());
            data.splice(at..at, more.iter().copied());
        }
        Change::Remove { at, count } => {
            let at = place(*at, data.len());
            let end = data.len().min(at + usize::from(*count));
            data.drain(at..end);
        }
        Change::Repeat => data.extend_from_within(..),
        Change::Nothing => {}
    }
}

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    /// Bytes for one end, with nobody at the other.
    Alone { server: bool, data: &'a [u8] },
    /// A conversation, each flight of which is changed.
    Pair { mutual: bool, changes: Vec<Change>, data: &'a [u8] },
}

fn run(case: &Case<'_>) {
    match case {
        Case::Alone { server, data } => {
            let mut end = End::new(*server, false);
            let result = end.session.step();
            end.note(result);
            end.take_output();
            end.receive(data);
            let result = end.session.end_of_input();
            end.note(result);
        }
        Case::Pair { mutual, changes, data } => {
            let (mut one, mut other) = (End::new(false, *mutual), End::new(true, *mutual));
            for end in [&mut one, &mut other] {
                let result = end.session.step();
                end.note(result);
            }
            let mut changes = changes.iter();
            for _ in 0..12 {
                for turn in [false, true] {
                    let (from, to) = if turn { (&mut other, &mut one) } else { (&mut one, &mut other) };
                    let result = from.session.write(data);
                    from.note(result);
                    let mut flight = from.take_output();
                    change(&mut flight, changes.next().unwrap_or(&Change::Nothing));
                    to.receive(&flight);
                }
            }
            one.session.close();
            let last = one.take_output();
            other.receive(&last);
        }
    }
}

fuzz_target!(|case: Case<'_>| {
    let before = HELD.get();
    MOST.set(before);
    run(&case);
    let most = MOST.get() - before;
    assert!(most < LIMIT, "{most} bytes");
});
