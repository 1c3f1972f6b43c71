//! Data really goes past rustls' buffers. That it comes out right is what other tests show; they
//! would not notice if it went the long way.

use std::io::{Read, Write};

use super::BESIDE;
use crate::buffer::{BUFFER_BYTES, Buffer};
use crate::connection::{Opened, RECORD_PLAINTEXT};
use crate::selftest::tests::with_established;
use crate::selftest::to_client;

const DATA: [u8; RECORD_PLAINTEXT] = [7; RECORD_PLAINTEXT];

#[test]
fn data_is_sealed_straight_into_the_output() {
    for tls13 in [true, false] {
        with_established(tls13, |member, mut client, mut server| {
            assert!(server.seal(member, &DATA));
            assert!(server.output().len() > DATA.len());
            BESIDE.with_borrow(|beside| assert!(beside.is_empty(), "{} bytes", beside.len()));
            to_client(&mut server, &mut client).unwrap();
            let mut arrived = [0; RECORD_PLAINTEXT];
            client.reader().read_exact(&mut arrived).unwrap();
            assert_eq!(arrived, DATA);
        });
    }
}

#[test]
fn data_is_opened_straight_into_the_buffer_it_leaves_from() {
    for tls13 in [true, false] {
        with_established(tls13, |member, mut client, mut server| {
            client.writer().write_all(&DATA).unwrap();
            let mut record = Vec::new();
            client.write_tls(&mut record).unwrap();
            server.input_space(member)[..record.len()].copy_from_slice(&record);
            server.received(record.len());
            let mut opened = Buffer::with_capacity(BUFFER_BYTES);
            assert_eq!(server.open_record(&mut opened), Opened::Data(DATA.len()));
            assert_eq!(opened.data(), DATA);
            let came_in = &server.wire.input.space()[..record.len()];
            assert!(came_in == record, "it was opened where it came in");
        });
    }
}
