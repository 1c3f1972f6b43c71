//! What executes the kernels: the vector unit or, in tests, ordinary integers.

use super::kernel::{Modulus, Shelf};
use super::lanes::{Block, Row};

/// The kernels on one kind of lanes. See `kernel` for what each does.
pub(super) trait Backend: Copy + Send {
    fn product(self, t: &mut [Block], a: &[Block], b: &[Block]);
    fn reduce(self, x: &mut [Block], t: &mut [Block], modulus: Modulus<'_>);
    fn multiply(self, x: &mut [Block], y: &[Block], modulus: Modulus<'_>, t: &mut [Block]);
    fn square(self, x: &mut [Block], modulus: Modulus<'_>, t: &mut [Block]);
    fn select(self, x: &mut [Block], table: &[Shelf], digit: &Row);
}
