use super::*;

#[test]
fn clear_runs_join_where_they_touch() {
    let mut runs = Runs::default();
    runs.clear(4);
    runs.clear(5);
    runs.protect(100);
    runs.protect(20);
    runs.protect(0);
    runs.clear(7);
    runs.protect(1);
    runs.clear(3);
    let expected = [(9, 100), (0, 20), (7, 1), (3, 0)];
    let found = runs.finish().into_iter().map(|run| (run.clear_bytes, run.protected_bytes));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
