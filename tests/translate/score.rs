//! BLEU and chrF as sacrebleu computes them.

use crate::{done, folder, golden, lines, translate};

#[test]
fn three_files_score_as_in_sacrebleu() {
    let expected = std::fs::read_to_string(golden("score/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let folder = folder("score");
    let files = expected.as_object().unwrap();
    assert_eq!(files.len(), 3);
    for (name, figures) in files {
        let (found, right) = (golden(&format!("score/{name}.found")), golden(&format!("score/{name}.right")));
        let words = ["score", &found, "--reference", &right, "--json"];
        let ours = &lines(&done(&translate(&folder, &words)))[0];
        for (ours, theirs) in [
            (&ours["bleu"]["score"], &figures["bleu"]),
            (&ours["chrf"], &figures["chrf"]),
            (&ours["bleu"]["brevity_penalty"], &figures["brevity_penalty"]),
        ] {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            assert!((ours - theirs).abs() < 0.005, "{name}: {ours} and {theirs}");
        }
    }
}

#[test]
fn files_must_go_line_by_line() {
    let folder = folder("score-lines");
    std::fs::write(folder.join("a"), "one\ntwo\n").unwrap();
    std::fs::write(folder.join("b"), "one\n").unwrap();
    let output = translate(&folder, &["score", "a", "--reference", "b"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a has 2 lines and b has 1"), "{said}");
}
