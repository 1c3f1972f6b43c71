//! What executes the kernels: the vector unit or, in tests, ordinary integers.

use super::field::Element;
use super::lanes::Row;

/// The kernels on one kind of lanes. See `field` for what each does.
pub(super) trait Backend: Copy {
    fn ladder(self, x: &mut Element, z: &mut Element, turns: &[Row; 4]);
    fn power(self, x: &mut Element, times: usize, y: &Element);
    fn finish(self, x: &mut Element, y: &Element);
}
