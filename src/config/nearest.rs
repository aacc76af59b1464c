//! The known name that a misspelled one was meant to be. Pure.

/// The known name that is nearest, if it is near: one letter in three may be wrong, and two at
/// most.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (name.chars().count() / 3).min(2);
    let all = known.map(|known| (distance(name, known), known));
    all.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

/// How many letters have to be added, left out, replaced or swapped with their neighbor.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let is_same = one[i - 1] == other[j - 1];
            let mut best = (rows[i - 1][j - 1] + usize::from(!is_same))
                .min(rows[i - 1][j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near_or_none() {
        let known = ["memory", "metadata-ttl", "metrics", "uid", "gid"];
        let of = |name| nearest(name, known.into_iter());
        assert_eq!(of("memroy"), Some("memory"));
        assert_eq!(of("metadatattl"), Some("metadata-ttl"));
        assert_eq!(of("metadata-time"), None);
        assert_eq!((of("ui"), of("colour"), of("")), (None, None, None));
        assert_eq!(of("uuid"), Some("uid"));
    }

    #[test]
    fn a_distance_counts_letters() {
        for (one, other, letters) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "xbd", 2), ("ä", "a", 1)]
        {
            assert_eq!(distance(one, other), letters, "{one} {other}");
            assert_eq!(distance(other, one), letters, "{other} {one}");
        }
    }
}
