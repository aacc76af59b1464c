//! What a mount has put into the bucket, looked at by another client: the SDK by
//! itself, which lists, and holds what it gets against its checksum.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ChecksumMode;

use super::*;

/// More than goes in one request.
const LARGE: usize = 17 << 20;

#[test]
fn another_client_gets_what_was_written_with_its_type_and_checksum() {
    for backend in backends() {
        backend.put("gone", "x");
        let mount = mount_free(&backend);
        let large = noise(7, LARGE);
        save(&mount.join("small.txt"), b"small").unwrap();
        save(&mount.join("large.mp4"), &large).unwrap();
        fs::create_dir(mount.join("folder")).unwrap();
        save(&mount.join("before.json"), b"{}").unwrap();
        fs::rename(mount.join("before.json"), mount.join("folder/after.json")).unwrap();
        fs::remove_file(mount.join("gone")).unwrap();
        mount.end();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, bucket) = backend.client();
            let listed = client.list_objects_v2().bucket(bucket).send().await.unwrap();
            let listed: Vec<_> = listed
                .contents()
                .iter()
                .map(|object| (object.key().unwrap(), object.size().unwrap()))
                .collect();
            let expected = [
                ("folder/", 0),
                ("folder/after.json", 2),
                ("large.mp4", LARGE as i64),
                ("small.txt", 5),
            ];
            assert_eq!(listed, expected);
            for (key, bytes, content_type, parts) in [
                ("small.txt", b"small".as_slice(), "text/plain", 1),
                ("large.mp4", large.as_slice(), "video/mp4", 3),
                ("folder/after.json", b"{}".as_slice(), "application/json", 1),
                ("folder/", b"".as_slice(), "application/x-directory", 1),
            ] {
                assert!(got(&client, bucket, key, content_type, parts).await == bytes, "{key:?}");
            }
        });
    }
}

/// The bytes of an object, which have the checksum that the server tells.
async fn got(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    parts: usize,
) -> Vec<u8> {
    let object = client.get_object().bucket(bucket).key(key);
    let object = object.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(object.content_type(), Some(content_type), "{key:?}");
    let told = object.checksum_crc32_c().map(str::to_owned);
    let told = told.unwrap_or_else(|| panic!("{key:?} has no checksum"));
    assert_eq!(told.ends_with(&format!("-{parts}")), parts > 1, "{key:?}: {told}");
    object.body.collect().await.unwrap().to_vec()
}
