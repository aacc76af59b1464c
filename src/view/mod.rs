//! Virtual siblings of images: files that are not in the bucket.
//!
//! Contract: a view is a raster poured through a [`layout`]: its exact size is
//! known from the image's header, and reading it decodes only the tiles that a
//! range covers. A view's bytes are the same every time.

pub mod layout;
pub mod reduce;
pub mod stretch;
