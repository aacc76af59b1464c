//! The end: all is closed and sent, and looked at through a mount that knows nothing.

use std::collections::BTreeMap;

use super::driver::Driver;
use super::oracle::bytes_of;
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::plain_tree::{Id, ROOT};

impl Driver {
    /// Compares everything, and lets go of it.
    pub(super) async fn finish(&mut self) {
        self.check_pending();
        while !self.files.is_empty() {
            self.read(0, 0, 1 << 26).await;
            self.close(0, None).await;
        }
        self.send_pending(None).await;
        self.compare(ROOT).await;
        self.compare_with_bucket();
        let is_clean = self.tree.pending().is_empty();
        if is_clean && !self.has_failed {
            let uploads = self.oracle.store.open_uploads();
            assert!(uploads.is_empty(), "parts are left behind: {uploads:?}");
        }
        self.forget_all();
        assert_eq!(self.tree.fs.inode_count(), 1, "inodes that nobody knows are kept");
        self.look_anew().await;
    }

    async fn compare(&mut self, dir: Id) {
        self.list(dir, 3, false).await;
        self.list(dir, 4, true).await;
        for name in self.model.entries(dir).clone().into_keys() {
            let Some(Some(id)) = self.look_up(dir, &name).await else {
                let key = self.key(dir, &name);
                assert!(self.is_unsure(&key), "{key:?} is gone");
                continue;
            };
            match self.model.is_dir(id) {
                true => Box::pin(self.compare(id)).await,
                false => self.read_whole(id).await,
            }
        }
    }

    /// Each file that is not in conflict is in the bucket, and nothing else.
    fn compare_with_bucket(&self) {
        let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for id in (0..self.model.nodes.len()).filter(|id| self.is_remote(*id)) {
            if !self.about[&id].is_dirty {
                expected.insert(self.key_of(id), self.model.bytes(id).to_vec());
            }
        }
        let is_sure = |key: &String| !self.is_unsure(key) && !key.ends_with('/');
        let found = self.oracle.objects.iter().map(|(key, object)| (key.clone(), bytes_of(object)));
        let found: BTreeMap<_, _> = found.filter(|(key, _)| is_sure(key)).collect();
        expected.retain(|key, _| is_sure(key));
        let keys = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&expected), "the keys in the bucket");
        assert!(found == expected, "the bytes in the bucket");
    }

    /// A mount that was not there before shows what is in the bucket.
    async fn look_anew(&self) {
        let tree = Tree::over(self.oracle.store.clone(), TreeConfig::default()).await;
        let mut dirs = vec![String::new()];
        let mut shown = BTreeMap::new();
        while let Some(dir) = dirs.pop() {
            for name in tree.list(&dir).await {
                let path = format!("{dir}{name}");
                match name.ends_with('/') {
                    true => dirs.push(path),
                    false => drop(shown.insert(path.clone(), tree.read(&path).await.unwrap())),
                }
            }
        }
        let files = self.oracle.objects.iter().filter(|(key, _)| !key.ends_with('/'));
        let files = files.map(|(key, object)| (key.clone(), bytes_of(object)));
        assert!(shown == files.collect(), "a new mount shows other files: {:?}", shown.keys());
    }
}
