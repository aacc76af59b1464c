//! What T.803 demands of a decoder of class 1, for profiles 0 and 1: its tables C.6 and C.7.
//!
//! Class 0 is left out: its references are those of decoders that may leave out the component
//! transform and bits, so that a decoder which does neither is far from them.

/// One codestream at one reduction.
#[derive(Debug)]
pub(crate) struct Row {
    /// The codestream, without its ending.
    pub(crate) name: &'static str,
    /// By how many halvings the reference is reduced.
    pub(crate) reduction: u8,
    /// For each component, the largest error and the largest mean squared error.
    pub(crate) allowed: &'static [(u32, f64)],
}

impl Row {
    /// The file that holds the reference of a component.
    pub(crate) fn reference(&self, component: usize) -> String {
        format!("c1{}_{component}.pgx", self.name)
    }
}

const fn row(name: &'static str, reduction: u8, allowed: &'static [(u32, f64)]) -> Row {
    Row { name, reduction, allowed }
}

const EXACT: (u32, f64) = (0, 0.0);

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    row("p0_01", 0, &[EXACT]),
    row("p0_02", 0, &[EXACT]),
    row("p0_03", 0, &[EXACT]),
    row("p0_04", 0, &[(5, 0.776), (4, 0.626), (6, 1.070)]),
    row("p0_05", 0, &[(2, 0.302), (2, 0.307), (2, 0.269), EXACT]),
    row("p0_06", 0, &[(635, 11287.0), (403, 6124.0), (378, 3968.0), EXACT]),
    row("p0_07", 0, &[EXACT, EXACT, EXACT]),
    row("p0_08", 1, &[EXACT, EXACT, EXACT]),
    row("p0_09", 0, &[EXACT]),
    row("p0_10", 0, &[EXACT, EXACT, EXACT]),
    row("p0_11", 0, &[EXACT]),
    row("p0_12", 0, &[EXACT]),
    row("p0_13", 0, &[EXACT, EXACT, EXACT, EXACT]),
    row("p0_14", 0, &[EXACT, EXACT, EXACT]),
    row("p0_15", 0, &[EXACT]),
    row("p0_16", 0, &[EXACT]),
    row("p1_01", 0, &[EXACT]),
    row("p1_02", 0, &[(5, 0.765), (4, 0.616), (6, 1.051)]),
    row("p1_03", 0, &[(2, 0.300), (2, 0.210), (1, 0.200), EXACT]),
    row("p1_04", 0, &[(624, 3080.0)]),
    row("p1_05", 0, &[(40, 8.458), (40, 9.816), (40, 10.154)]),
    row("p1_06", 0, &[(2, 0.6), (2, 0.6), (2, 0.6)]),
    row("p1_07", 0, &[EXACT, EXACT]),
];
