//! Copies of what is too large to be copied in one request.

use super::*;
use crate::support::memory_store::StoreStyle;

/// A stack that copies more than 5 MiB in parts of as much, and an object of three.
async fn stack_of_parts() -> Stack {
    let writes = WriteSettings {
        storage_class: Some("STANDARD_IA".to_owned()),
        encryption: Encryption::Aes256,
    };
    let max_copy_bytes = PART_BYTES as u64;
    let stack = Stack::with(How { max_copy_bytes, ..How::writing(writes) }).await;
    let bytes: Vec<u8> = (0..2 * PART_BYTES + 5).map(|n| (n / 1000) as u8).collect();
    let meta = Meta {
        content_type: Some("image/jp2".into()),
        metadata: [("sensor".to_owned(), "MSI".to_owned())].into(),
        ..Meta::default()
    };
    stack.server.put_with(BUCKET, "from", bytes, meta);
    stack
}

#[tokio::test]
async fn what_is_too_large_for_one_request_is_copied_in_parts() {
    for effect in [slow_down(), Effect::Drop, Effect::DropAnswer] {
        for op in [Op::UploadPart, Op::CompleteUpload] {
            let stack = stack_of_parts().await;
            stack.server.fault(Fault::new(effect.clone()).on(op).times(1));
            stack
                .copy(Condition::Absent)
                .await
                .unwrap_or_else(|e| panic!("{op:?} {effect:?}: {e}"));
            let source = stack.server.get(BUCKET, "from").unwrap();
            let copy = stack.server.get(BUCKET, "obj").unwrap();
            assert!(stack.holds(&source.content.slice(0..source.content.size())));
            assert!(copy.etag.ends_with("-3"), "{}", copy.etag);
            assert_eq!(copy.content_type.as_deref(), Some("image/jp2"));
            assert_eq!(copy.metadata, source.metadata);
            assert_eq!(copy.storage_class.as_deref(), Some("STANDARD_IA"));
            assert_eq!(copy.encryption.as_deref(), Some("AES256"));
            assert_eq!(stack.server.open_uploads(BUCKET), [""; 0]);
            let cost = stack.stats.snapshot();
            assert_eq!(cost.put_requests, 3 + 2 + 1, "three parts, the frame, one again");
        }
    }
}

#[tokio::test]
async fn a_copy_in_parts_that_fails_is_aborted() {
    let stack = stack_of_parts().await;
    stack
        .server
        .fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::UploadPart).part(2));
    assert_eq!(kind(stack.copy(Condition::Absent).await), StoreErrorKind::AccessDenied);
    assert_eq!(stack.server.open_uploads(BUCKET), [""; 0]);
    stack.server.clear_faults();
    stack.server.put(BUCKET, "obj", "them");
    assert_eq!(kind(stack.copy(Condition::Absent).await), StoreErrorKind::Changed);
    assert!(stack.holds(b"them"));
    assert_eq!(stack.server.open_uploads(BUCKET), [""; 0]);
    // Another version of the source is not copied.
    let mut from = stack.version("from");
    from.etag = Some(ETag::new("old"));
    let request =
        CopyRequest { from, to: key("to"), condition: Condition::Any, content_type: None };
    assert_eq!(kind(stack.store.copy(request).await), StoreErrorKind::Changed);
    assert_eq!(stack.server.keys(BUCKET), ["from", "obj"]);
}

async fn uploads_are_gone(server: &TestServer) {
    for _ in 0..200 {
        if server.open_uploads(BUCKET).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", server.open_uploads(BUCKET));
}

#[tokio::test]
async fn a_copy_in_parts_that_gets_no_answers_is_given_up_and_aborted() {
    let max_copy_bytes = PART_BYTES as u64;
    // Long enough for it to be begun on a machine that is busy.
    let timeout = Duration::from_secs(5);
    let stack = Stack::with(How { timeout, max_copy_bytes, ..How::default() }).await;
    stack.server.put(BUCKET, "from", vec![1; PART_BYTES + 1]);
    stack.server.fault(Fault::new(Effect::Hang).on(Op::UploadPart));
    assert_eq!(kind(stack.copy(Condition::Absent).await), StoreErrorKind::Timeout);
    uploads_are_gone(&stack.server).await;
}

#[tokio::test]
async fn a_copy_in_parts_that_nobody_waits_for_any_more_is_aborted() {
    let max_copy_bytes = PART_BYTES as u64;
    let stack = Stack::with(How { max_copy_bytes, ..How::default() }).await;
    stack.server.put(BUCKET, "from", vec![1; PART_BYTES + 1]);
    let hanging = stack.server.fault(Fault::new(Effect::Hang).on(Op::UploadPart));
    let (store, from) = (stack.store.clone(), stack.version("from"));
    let condition = Condition::Absent;
    let request = CopyRequest { from, to: key("obj"), condition, content_type: None };
    let copying = tokio::spawn(async move { store.copy(request).await });
    while stack.server.fault_hits(hanging) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    copying.abort();
    uploads_are_gone(&stack.server).await;
}

/// The production stack over a store in memory that takes parts of any size.
fn over_memory(
    max_copy_bytes: u64,
    memory_bytes: u64,
) -> (MemoryStore, Arc<Stats>, Arc<dyn ObjectStore>) {
    let memory = MemoryStore::with_style(StoreStyle { min_part_bytes: 1, ..StoreStyle::default() });
    let stats = Stats::new();
    let retry = RetryConfig::within(Duration::from_secs(10));
    let config = StackConfig { max_copy_bytes, ..StackConfig::new(retry, memory_bytes) };
    let store = production_stack(Arc::new(memory.clone()), config, stats.clone());
    (memory, stats, store)
}

fn copy_of(memory: &MemoryStore, at: &str) -> CopyRequest {
    let object = memory.object(at).unwrap();
    let from = ObjectVersion {
        key: key(at),
        size: object.content.size(),
        etag: Some(ETag::new(&object.etag)),
        last_modified: object.last_modified,
    };
    CopyRequest { from, to: key("obj"), condition: Condition::Absent, content_type: None }
}

fn bytes_of(memory: &MemoryStore, at: &str) -> Bytes {
    let object = memory.object(at).unwrap();
    object.content.slice(0..object.content.size())
}

/// Parts are requests like any other: each is tried again and counted for itself.
#[tokio::test]
async fn the_stack_copies_in_parts_over_any_store() {
    let (memory, stats, store) = over_memory(1000, MEMORY_BYTES);
    memory.put("from", (0..2005).map(|n| n as u8).collect::<Vec<u8>>());
    memory.fail_next(CallKind::CopyPart, None, StoreErrorKind::Transient, 5);
    memory.lose_answers(CallKind::CompleteUpload, None, StoreErrorKind::Timeout, 1);
    store.copy(copy_of(&memory, "from")).await.unwrap();
    assert_eq!(bytes_of(&memory, "obj"), bytes_of(&memory, "from"));
    let told = stats.snapshot();
    // The beginning, three parts and the end, and again what failed.
    assert_eq!((told.put_requests, told.retry_requests), (5 + 5 + 1, 5 + 1));
    // The source, and what the lost answer had made.
    assert_eq!((told.head_requests, told.failed_requests), (2, 5 + 1));
    // Smaller objects are copied in one request.
    memory.put("from", "small");
    memory.delete("obj");
    store.copy(copy_of(&memory, "from")).await.unwrap();
    assert_eq!(bytes_of(&memory, "obj"), "small");
    assert_eq!((stats.snapshot() - told).put_requests, 1);
}

#[tokio::test]
async fn a_copy_in_parts_leaves_room_for_other_writes() {
    let memory_bytes = 64 << 20;
    assert_eq!(writes_at_once(memory_bytes), 8);
    let (memory, _, store) = over_memory(1000, memory_bytes);
    memory.put("from", vec![7; 20_000]);
    memory.hang_next(CallKind::CopyPart, None, 20);
    let (request, copier) = (copy_of(&memory, "from"), store.clone());
    let copying = tokio::spawn(async move { copier.copy(request).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(memory.tally().part, 4, "half of the writes");
    let other = PutRequest { key: key("other"), ..put(b"x", Condition::Absent) };
    store.put(other).await.unwrap();
    while !copying.is_finished() {
        memory.release();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    copying.await.unwrap().unwrap();
    assert_eq!(memory.tally().part, 20);
    assert_eq!(bytes_of(&memory, "obj"), bytes_of(&memory, "from"));
}
