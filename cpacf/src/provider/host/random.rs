//! Random data of provider `host`.

use aws_lc_rs::rand;

use crate::provider::Failed;

pub(crate) fn fill(out: &mut [u8]) -> Result<(), Failed> {
    rand::fill(out).map_err(|_| Failed)
}
