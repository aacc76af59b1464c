//! Objects that are read whole with `--verify` are what their server keeps.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::*;
use crate::support::bucket::{Content, Meta, Object};
use crate::support::server::{Effect, Fault, Op};

/// More than one GET brings, and less than is sent in parts.
const SIZE: u64 = 12 * MIB;

/// A server with an object whose checksum it keeps: one that this program has written.
fn server_with_checksum() -> Option<(TestServer, Vec<u8>)> {
    let server = server()?;
    let mount = mount(&server, &["--writes", "upload"]);
    let mut dice = Dice(1);
    let bytes: Vec<u8> = (0..SIZE).map(|_| dice.below(256) as u8).collect();
    fs::write(mount.join("file"), &bytes).unwrap();
    mount.end();
    assert!(server.get(BUCKET, "file").unwrap().checksum.is_some());
    Some((server, bytes))
}

#[test]
fn an_object_that_is_read_whole_in_any_order_costs_a_head_and_is_right() {
    let Some((server, bytes)) = server_with_checksum() else { return };
    let pieces: Vec<u64> = (0..SIZE / MIB).map(|n| (n * 7 + 3) % (SIZE / MIB)).collect();
    for order in [(0..SIZE / MIB).collect::<Vec<u64>>(), pieces] {
        let mount = mount(&server, &["--verify", "--log-level", "debug"]);
        let (_, cost) = cost_of(&server, || {
            let file = File::open(mount.join("file")).unwrap();
            for piece in order {
                let (start, end) = (piece * MIB, (piece + 1) * MIB);
                let read = part(&file, start..end).unwrap();
                assert!(read == bytes[start as usize..end as usize], "{piece}");
            }
        });
        assert_eq!((cost.head, cost.bytes), (1, SIZE));
        assert_eq!(lines(&mount, "DEBUG", "is what its server keeps").len(), 1);
        mount.end();
    }
    // Nobody asks without the flag.
    let mount = mount(&server, &[]);
    let (read, cost) = cost_of(&server, || fs::read(mount.join("file")).unwrap());
    assert!(read == bytes && cost.head == 0);
    mount.end();
}

#[test]
fn a_damaged_byte_fails_the_last_read_and_the_next_one_gets_all_anew() {
    let Some((server, bytes)) = server_with_checksum() else { return };
    for at in [0, 5000] {
        let mount = mount(&server, &["--verify"]);
        server.fault(Fault::new(Effect::Damage(at)).on(Op::Get).times(1));
        let path = mount.join("file");
        let file = File::open(&path).unwrap();
        let mut read = vec![0; SIZE as usize];
        let outcome = (0..SIZE / MIB).try_for_each(|piece| {
            let place = (piece * MIB) as usize..((piece + 1) * MIB) as usize;
            file.read_exact_at(&mut read[place], piece * MIB)
        });
        assert_eq!(errno(outcome), libc::EIO, "{at}");
        assert_eq!(lines(&mount, "ERROR", "does not add up").len(), 1, "{}", mount.log());
        // Whoever has it open reads no more of it.
        assert_eq!(errno(part(&file, SIZE - 100..SIZE)), libc::EIO);
        drop(file);
        let mut again = fs::read(&path);
        if again.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ESTALE)) {
            again = fs::read(&path);
        }
        assert!(again.unwrap() == bytes, "{at}");
        mount.end();
    }
}

/// Reads a file from its start to its end.
fn read_in_order(path: &Path) -> std::io::Result<Vec<u8>> {
    let (mut file, mut bytes) = (File::open(path)?, Vec::new());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn parts_are_compared_with_the_sum_of_their_sums_for_one_more_head() {
    let Some(server) = server() else { return };
    let mut dice = Dice(2);
    let size = 21 * MIB + 4321;
    let bytes: Vec<u8> = (0..size).map(|_| dice.below(256) as u8).collect();
    // This program sends checksums of parts, others nothing: then the ETag is one of MD5s.
    let uploading = mount(&server, &["--writes", "upload"]);
    fs::write(uploading.join("file"), &bytes).unwrap();
    uploading.end();
    let sent = server.get(BUCKET, "file").unwrap();
    assert!(sent.parts.len() > 1 && sent.checksum.as_ref().is_some_and(|sum| sum.contains('-')));
    for keeps in ["crc", "md5"] {
        if keeps == "md5" {
            let object =
                Object { checksum: None, ..(*server.get(BUCKET, "file").unwrap()).clone() };
            server.insert(BUCKET, "file", object);
        }
        let mount = mount(&server, &["--verify", "--log-level", "debug"]);
        let path = mount.join("file");
        let (read, cost) = cost_of(&server, || read_in_order(&path).unwrap());
        assert!(read == bytes, "{keeps}");
        assert_eq!((cost.head, cost.bytes), (2, size), "{keeps}");
        assert_eq!(lines(&mount, "DEBUG", "is what its server keeps").len(), 1, "{keeps}");
        mount.end();
        let mount = mount_with_damage(&server);
        assert_eq!(errno(read_in_order(&mount.join("file"))), libc::EIO, "{keeps}");
        assert_eq!(lines(&mount, "ERROR", "does not add up").len(), 1, "{keeps} {}", mount.log());
        mount.end();
    }
}

/// A mount that verifies, whose first GET brings a wrong byte.
fn mount_with_damage(server: &TestServer) -> Mount {
    let mount = mount(server, &["--verify"]);
    server.fault(Fault::new(Effect::Damage(4000)).on(Op::Get).times(1));
    mount
}

#[test]
fn an_etag_that_is_an_md5_is_compared_where_a_program_reads_in_order() {
    let Some(server) = server() else { return };
    let mut dice = Dice(3);
    for size in [1, 4097, 3 * MIB + 17] {
        let bytes: Vec<u8> = (0..size).map(|_| dice.below(256) as u8).collect();
        server.put(BUCKET, "file", bytes.clone());
        let mount = mount(&server, &["--verify", "--log-level", "debug"]);
        let path = mount.join("file");
        let (read, cost) = cost_of(&server, || read_in_order(&path).unwrap());
        assert!(read == bytes);
        assert_eq!((cost.head, cost.bytes), (1, size));
        assert_eq!(lines(&mount, "DEBUG", "is what its server keeps").len(), 1, "{size}");
        mount.end();
        if size > 4000 {
            let mount = mount_with_damage(&server);
            assert_eq!(errno(read_in_order(&mount.join("file"))), libc::EIO, "{size}");
            mount.end();
        }
    }
}

#[test]
fn an_etag_that_may_be_no_md5_is_not_compared() {
    let Some(server) = server() else { return };
    // What an ETag is with keys of a key service looks like an MD5 and is none.
    let etag = "0123456789abcdef0123456789abcdef".to_owned();
    let content = Content::Stored(vec![7; 5000].into());
    let mut object = Object::with_etag(content, etag, Meta::default());
    object.encryption = Some("aws:kms".into());
    server.insert(BUCKET, "file", object);
    let mount = mount(&server, &["--verify"]);
    assert!(read_in_order(&mount.join("file")).unwrap() == [7; 5000]);
    assert_eq!(lines(&mount, "INFO", "can't be verified").len(), 1);
    mount.end();
}

#[test]
fn an_object_whose_server_keeps_no_checksum_is_read_and_named() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "plain", SIZE, 1);
    let mount = mount(&server, &["--verify"]);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&mount.join("plain"), 1));
    // Its ETag looks like one of parts, which the server does not know.
    assert_eq!((cost.head, cost.bytes), (2, SIZE));
    let said = lines(&mount, "INFO", "can't be verified");
    assert!(said.len() == 1 && said[0].contains("plain"), "{said:?}");
    mount.end();
}
