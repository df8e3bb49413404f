//! The built-in model: films, without a network.

use crate::{done, folder, ids, lines, recommend};

#[test]
fn two_films_have_a_list_with_years() {
    let folder = folder("films");
    let list = done(&recommend(&folder, &["--offline", "-q", "--history", "Toy Story", "The Matrix"]));
    assert_eq!(list.lines().count(), 10);
    assert!(list.lines().all(|line| line.trim_end().ends_with(')')), "{list}");
    let words = ["--offline", "-q", "--json", "--history", "toy story (1995)", "Matrix, The"];
    let line = lines(&done(&recommend(&folder, &words))).remove(0);
    assert_eq!(line["model"], "embedded");
    assert_eq!(line["history"][0]["title"], "Toy Story (1995)");
    assert_eq!(line["history"][1]["title"], "Matrix, The (1999)");
    assert_eq!(ids(&line).len(), 10);
}

#[test]
fn films_are_filtered_by_genre_and_suggested_on_a_miss() {
    let folder = folder("genres");
    let words = ["--offline", "-q", "--json", "--history", "Alien", "Aliens", "--filter", "genres=Horror"];
    assert_eq!(ids(&lines(&done(&recommend(&folder, &words)))[0]).len(), 10);
    let output = recommend(&folder, &["--offline", "-q", "--history", "Toy Storey"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Toy Story (1995)"));
    let like = done(&recommend(&folder, &["--offline", "-q", "--like", "Star Wars"]));
    assert!(like.contains("Empire Strikes Back"), "{like}");
}

#[test]
fn its_licence_is_told() {
    let shown = done(&recommend(&folder("licence"), &["models", "show", "embedded"]));
    assert!(shown.to_lowercase().contains("non-commercial") || shown.contains("grouplens"), "{shown}");
}
