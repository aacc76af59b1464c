//! Whether somebody goes through a directory in order, and in which. Pure.
//!
//! Three orders are told apart: that of listings (`tar`, `cat *`), that among the names with the
//! same ending (`*.tif`), and that of inode numbers (`cp -r`). Who comes to a name has kept to
//! each order in which it is the next one behind the last. Two such steps in a row are evidence.

/// An order in which programs go through a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// That of listings.
    Listed,
    /// That of listings, among the names with the same ending.
    Ending,
    /// That of inode numbers.
    Numbered,
}

/// What comes next in each order: listed, with the same ending, by number.
pub(super) type Next = [Option<String>; 3];

const ORDERS: [Order; 3] = [Order::Listed, Order::Ending, Order::Numbered];
/// So many steps in an order are evidence that it goes on like that.
const EVIDENCE: u32 = 2;

/// How somebody has gone through a directory so far.
#[derive(Debug)]
pub(super) struct Steps {
    last: String,
    next: Next,
    /// How many steps in a row have kept to each order.
    kept: [u32; 3],
}

impl Steps {
    /// Somebody is at a name.
    pub(super) fn at(name: &str) -> Self {
        Steps { last: name.to_owned(), next: Next::default(), kept: [0; 3] }
    }

    /// The name where this is.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// Says what comes next.
    pub(super) fn expect(&mut self, next: Next) {
        self.next = next;
    }

    /// Whether `name` is next in an order.
    pub(super) fn leads_to(&self, name: &str) -> bool {
        self.next.iter().any(|next| next.as_deref() == Some(name))
    }

    /// Goes on to a name. A step that was foreseen (`ahead`) breaks no order: two threads
    /// overtake each other.
    pub(super) fn go(&mut self, name: &str, ahead: bool) {
        for (kept, next) in self.kept.iter_mut().zip(&self.next) {
            match next.as_deref() == Some(name) {
                true => *kept += 1,
                false if ahead => {}
                false => *kept = 0,
            }
        }
        name.clone_into(&mut self.last);
        self.next = Next::default();
    }

    /// Notes that the last steps have kept to an order.
    pub(super) fn note_kept(&mut self, order: Order, steps: u32) {
        self.kept[order as usize] = self.kept[order as usize].max(steps);
    }

    /// Forgets the evidence: somebody went elsewhere.
    pub(super) fn doubt(&mut self) {
        self.kept = [0; 3];
    }

    /// The order that it goes on in, if there is evidence of one.
    pub(super) fn order(&self) -> Option<Order> {
        let most = self.kept.into_iter().max().filter(|most| *most >= EVIDENCE)?;
        ORDERS.into_iter().find(|order| self.kept[*order as usize] == most)
    }

    /// Whether it has kept to any order in its last step.
    pub(super) fn is_orderly(&self) -> bool {
        self.kept != [0; 3]
    }
}

/// How many of the last steps have each gone to the number behind the one before, where
/// `behind` says which that is.
pub(super) fn numbered_steps(numbers: &[u64], behind: impl Fn(u64) -> Option<u64>) -> u32 {
    let steps = numbers.windows(2).rev();
    steps.take_while(|step| behind(step[0]) == Some(step[1])).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["a.jpg", "a.xml", "b.jpg", "b.xml", "c.jpg", "c.xml"];

    fn next(name: &str) -> Next {
        let at = NAMES.iter().position(|other| *other == name).unwrap();
        let next = |step: usize| NAMES.get(at + step).map(|name| (*name).to_owned());
        [next(1), next(2), None]
    }

    fn walk(names: &[&str]) -> Steps {
        let mut steps = Steps::at(names[0]);
        steps.expect(next(names[0]));
        for name in &names[1..] {
            steps.go(name, false);
            steps.expect(next(name));
        }
        steps
    }

    #[test]
    fn two_steps_in_an_order_are_evidence_of_it() {
        assert_eq!(walk(&["a.jpg", "a.xml"]).order(), None);
        assert_eq!(walk(&["a.jpg", "a.xml", "b.jpg"]).order(), Some(Order::Listed));
        assert_eq!(walk(&["a.jpg", "b.jpg", "c.jpg"]).order(), Some(Order::Ending));
        assert_eq!(walk(&["c.jpg", "b.jpg", "a.jpg"]).order(), None);
        assert_eq!(walk(&["a.jpg", "a.xml", "b.xml"]).order(), None);
    }

    #[test]
    fn who_comes_to_what_was_foreseen_breaks_no_order() {
        let mut steps = walk(&["a.jpg", "a.xml", "b.jpg"]);
        steps.go("c.jpg", true);
        assert_eq!(steps.order(), Some(Order::Listed));
        steps.doubt();
        assert_eq!(steps.order(), None);
    }

    #[test]
    fn steps_by_number_are_counted_from_the_last_one() {
        let behind = |number: u64| Some(number + 10);
        assert_eq!(numbered_steps(&[5, 20, 30, 40], behind), 2);
        assert_eq!(numbered_steps(&[10, 20, 31], behind), 0);
        assert_eq!(numbered_steps(&[], behind), 0);
    }
}
