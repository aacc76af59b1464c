//! Forgetting what is known of a file or a tree, here and in the kernel.
//!
//! The kernel believes names for as long as it was told to, those that are missing too. It
//! drops all that it knows below a directory if it is told to forget that directory's own name.
//! The root has no name, so the missing names that it was told of there are remembered.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::NameError;
use super::ino::{Ino, ROOT};
use super::{Names, Notice};

/// No kernel takes longer than this to forget a name, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
impl Names {
    /// Forgets what listings say of a file, or of a directory and all below it, and returns
    /// when the kernel has forgotten it too. What programs wrote here stays as it is.
    ///
    /// # Errors
    /// The kernel was never told of the inode.
    pub async fn refresh(&self, ino: Ino) -> Result<(), NameError> {
        let thing = self.inodes.thing(ino)?;
        let place = self.inodes.place(ino).0.ok_or(NameError::UnknownInode)?;
        if ino != ROOT
            && let Some(parent) = place.folder.bucket()
        {
            self.catalog.invalidate(parent);
        }
        match thing.folder() {
            Some(folder) => {
                if let Some(dir) = folder.bucket() {
                    self.catalog.invalidate_below(dir);
                }
                for (parent, name) in self.inodes.names_below(ino) {
                    self.notices.send(parent, name);
                }
            }
            None => {
                for kind in self.siblings.kinds().kinds() {
                    self.notices.send(place.parent, format!("{}{}", place.name, kind.suffix()));
                }
            }
        }
        if ino == ROOT {
            for name in self.notices.missing_in_root.take() {
                self.notices.send(ROOT, name);
            }
        } else {
            self.notices.send(place.parent, place.name);
        }
        self.notices.all_told().await;
        Ok(())
    }
}

impl super::Notices {
    /// Waits until the kernel has heard of all that was sent so far, if anybody tells it.
    async fn all_told(&self) {
        let (told, hear) = oneshot::channel();
        // Without anybody who listens the answer is that the sender is gone.
        let _ = self.sender.send(Notice::Told(told));
        let _ = timeout(PATIENCE, hear).await;
    }
}
