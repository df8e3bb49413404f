//! The languages that the models know, under all the codes that are in use for them.

/// A language: ISO 639-1 (or what M2M100 writes where there is none), ISO 639-3, FLORES-200's code, English name.
#[derive(Debug, PartialEq)]
pub struct Language {
    /// Two letters, where there are such.
    pub short: &'static str,
    /// Three letters.
    pub long: &'static str,
    /// What NLLB-200 calls it, three letters and a script; empty where it does not know it.
    pub flores: &'static str,
    /// In English, small letters.
    pub name: &'static str,
}

/// The language that a code or an English name means, in any case, with or without Marian's `>>` and `<<`.
pub fn find(text: &str) -> Option<&'static Language> {
    let text = text.trim().trim_start_matches(">>").trim_end_matches("<<").replace('-', "_").to_lowercase();
    let any = |is: &dyn Fn(&Language) -> bool| LANGUAGES.iter().find(|language| is(language));
    let same = |code: &str| !code.is_empty() && code.to_lowercase() == text;
    any(&|one| same(one.short) || same(one.flores) || same(one.name)).or_else(|| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == text);
        any(&|one| alias.map_or(one.long == text, |(_, flores)| one.flores == *flores))
    })
}

/// Which of a model's own codes means the same language as what was typed; its own words go first.
pub fn among<'a>(codes: &[&'a str], typed: &str) -> Option<&'a str> {
    let plain = |code: &str| {
        let code = code.trim_start_matches(">>").trim_end_matches("<<");
        code.trim_start_matches("<2")
            .trim_end_matches('>')
            .trim_matches('_')
            .trim_end_matches("_XX")
            .replace('-', "_")
            .to_lowercase()
    };
    let same = |code: &&&str| **code == typed || plain(code) == plain(typed);
    if let Some(code) = codes.iter().find(same) {
        return Some(code);
    }
    let wanted = find(&plain(typed))?;
    codes.iter().find(|code| find(&plain(code)).is_some_and(|one| one == wanted)).copied()
}

/// Codes and names that are near what was typed, at most three, the nearest first.
pub fn near(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    let codes = |one: &'static Language| [one.name, one.short, one.long, one.flores];
    let mut near: Vec<(usize, &str)> = LANGUAGES
        .iter()
        .flat_map(codes)
        .filter(|code| !code.is_empty())
        .map(|code| (distance(&text, &code.to_lowercase()), code))
        .filter(|(distance, code)| *distance <= 1 + code.len().min(text.len()) / 4 && *distance < code.len())
        .collect();
    near.sort_unstable();
    near.dedup_by_key(|(_, code)| *code);
    near.into_iter().take(3).map(|(_, code)| code).collect()
}

/// Letters that must be changed, added or dropped.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Codes of groups of languages and of older standards, and what they are taken for.
const ALIASES: [(&str, &str); 24] = [
    ("ara", "arb_Arab"),
    ("zho", "zho_Hans"),
    ("chi", "zho_Hans"),
    ("fas", "pes_Arab"),
    ("per", "pes_Arab"),
    ("msa", "zsm_Latn"),
    ("may", "zsm_Latn"),
    ("nor", "nob_Latn"),
    ("nb", "nob_Latn"),
    ("lav", "lvs_Latn"),
    ("swa", "swh_Latn"),
    ("aze", "azj_Latn"),
    ("mon", "khk_Cyrl"),
    ("pus", "pbt_Arab"),
    ("ori", "ory_Orya"),
    ("nep", "npi_Deva"),
    ("uzb", "uzn_Latn"),
    ("yid", "ydd_Hebr"),
    ("mlg", "plt_Latn"),
    ("sqi", "als_Latn"),
    ("ger", "deu_Latn"),
    ("fre", "fra_Latn"),
    ("dut", "nld_Latn"),
    ("pt_br", "por_Latn"),
];

/// All languages, by name.
#[rustfmt::skip]
pub const LANGUAGES: [Language; 204] = [
    Language { short: "", long: "ace", flores: "ace_Arab", name: "acehnese (arabic script)" },
    Language { short: "", long: "ace", flores: "ace_Latn", name: "acehnese (latin script)" },
    Language { short: "af", long: "afr", flores: "afr_Latn", name: "afrikaans" },
    Language { short: "ak", long: "aka", flores: "aka_Latn", name: "akan" },
    Language { short: "sq", long: "als", flores: "als_Latn", name: "albanian" },
    Language { short: "am", long: "amh", flores: "amh_Ethi", name: "amharic" },
    Language { short: "ar", long: "arb", flores: "arb_Arab", name: "arabic" },
    Language { short: "hy", long: "hye", flores: "hye_Armn", name: "armenian" },
    Language { short: "as", long: "asm", flores: "asm_Beng", name: "assamese" },
    Language { short: "ast", long: "ast", flores: "ast_Latn", name: "asturian" },
    Language { short: "", long: "awa", flores: "awa_Deva", name: "awadhi" },
    Language { short: "ay", long: "ayr", flores: "ayr_Latn", name: "aymara" },
    Language { short: "az", long: "azj", flores: "azj_Latn", name: "azerbaijani" },
    Language { short: "", long: "ban", flores: "ban_Latn", name: "balinese" },
    Language { short: "bm", long: "bam", flores: "bam_Latn", name: "bambara" },
    Language { short: "bn", long: "ben", flores: "ben_Beng", name: "bangla" },
    Language { short: "", long: "bjn", flores: "bjn_Arab", name: "banjar (arabic script)" },
    Language { short: "", long: "bjn", flores: "bjn_Latn", name: "banjar (latin script)" },
    Language { short: "ba", long: "bak", flores: "bak_Cyrl", name: "bashkir" },
    Language { short: "eu", long: "eus", flores: "eus_Latn", name: "basque" },
    Language { short: "be", long: "bel", flores: "bel_Cyrl", name: "belarusian" },
    Language { short: "", long: "bem", flores: "bem_Latn", name: "bemba" },
    Language { short: "", long: "bho", flores: "bho_Deva", name: "bhojpuri" },
    Language { short: "bs", long: "bos", flores: "bos_Latn", name: "bosnian" },
    Language { short: "br", long: "bre", flores: "", name: "breton" },
    Language { short: "", long: "bug", flores: "bug_Latn", name: "buginese" },
    Language { short: "bg", long: "bul", flores: "bul_Cyrl", name: "bulgarian" },
    Language { short: "my", long: "mya", flores: "mya_Mymr", name: "burmese" },
    Language { short: "", long: "yue", flores: "yue_Hant", name: "cantonese" },
    Language { short: "ca", long: "cat", flores: "cat_Latn", name: "catalan" },
    Language { short: "ceb", long: "ceb", flores: "ceb_Latn", name: "cebuano" },
    Language { short: "", long: "tzm", flores: "tzm_Tfng", name: "central atlas tamazight" },
    Language { short: "", long: "knc", flores: "knc_Arab", name: "central kanuri (arabic script)" },
    Language { short: "", long: "knc", flores: "knc_Latn", name: "central kanuri (latin script)" },
    Language { short: "", long: "ckb", flores: "ckb_Arab", name: "central kurdish" },
    Language { short: "", long: "hne", flores: "hne_Deva", name: "chhattisgarhi" },
    Language { short: "zh", long: "zho", flores: "zho_Hans", name: "chinese" },
    Language { short: "", long: "cjk", flores: "cjk_Latn", name: "chokwe" },
    Language { short: "", long: "crh", flores: "crh_Latn", name: "crimean tatar" },
    Language { short: "hr", long: "hrv", flores: "hrv_Latn", name: "croatian" },
    Language { short: "cs", long: "ces", flores: "ces_Latn", name: "czech" },
    Language { short: "da", long: "dan", flores: "dan_Latn", name: "danish" },
    Language { short: "", long: "prs", flores: "prs_Arab", name: "dari" },
    Language { short: "nl", long: "nld", flores: "nld_Latn", name: "dutch" },
    Language { short: "", long: "dyu", flores: "dyu_Latn", name: "dyula" },
    Language { short: "dz", long: "dzo", flores: "dzo_Tibt", name: "dzongkha" },
    Language { short: "", long: "arz", flores: "arz_Arab", name: "egyptian arabic" },
    Language { short: "en", long: "eng", flores: "eng_Latn", name: "english" },
    Language { short: "eo", long: "epo", flores: "epo_Latn", name: "esperanto" },
    Language { short: "et", long: "est", flores: "est_Latn", name: "estonian" },
    Language { short: "ee", long: "ewe", flores: "ewe_Latn", name: "ewe" },
    Language { short: "fo", long: "fao", flores: "fao_Latn", name: "faroese" },
    Language { short: "fj", long: "fij", flores: "fij_Latn", name: "fijian" },
    Language { short: "tl", long: "tgl", flores: "tgl_Latn", name: "filipino" },
    Language { short: "fi", long: "fin", flores: "fin_Latn", name: "finnish" },
    Language { short: "", long: "fon", flores: "fon_Latn", name: "fon" },
    Language { short: "fr", long: "fra", flores: "fra_Latn", name: "french" },
    Language { short: "", long: "fur", flores: "fur_Latn", name: "friulian" },
    Language { short: "gl", long: "glg", flores: "glg_Latn", name: "galician" },
    Language { short: "lg", long: "lug", flores: "lug_Latn", name: "ganda" },
    Language { short: "ka", long: "kat", flores: "kat_Geor", name: "georgian" },
    Language { short: "de", long: "deu", flores: "deu_Latn", name: "german" },
    Language { short: "el", long: "ell", flores: "ell_Grek", name: "greek" },
    Language { short: "gn", long: "grn", flores: "grn_Latn", name: "guarani" },
    Language { short: "gu", long: "guj", flores: "guj_Gujr", name: "gujarati" },
    Language { short: "ht", long: "hat", flores: "hat_Latn", name: "haitian creole" },
    Language { short: "ha", long: "hau", flores: "hau_Latn", name: "hausa" },
    Language { short: "he", long: "heb", flores: "heb_Hebr", name: "hebrew" },
    Language { short: "hi", long: "hin", flores: "hin_Deva", name: "hindi" },
    Language { short: "hu", long: "hun", flores: "hun_Latn", name: "hungarian" },
    Language { short: "is", long: "isl", flores: "isl_Latn", name: "icelandic" },
    Language { short: "ig", long: "ibo", flores: "ibo_Latn", name: "igbo" },
    Language { short: "ilo", long: "ilo", flores: "ilo_Latn", name: "iloko" },
    Language { short: "id", long: "ind", flores: "ind_Latn", name: "indonesian" },
    Language { short: "ga", long: "gle", flores: "gle_Latn", name: "irish" },
    Language { short: "it", long: "ita", flores: "ita_Latn", name: "italian" },
    Language { short: "ja", long: "jpn", flores: "jpn_Jpan", name: "japanese" },
    Language { short: "jv", long: "jav", flores: "jav_Latn", name: "javanese" },
    Language { short: "", long: "kbp", flores: "kbp_Latn", name: "kabiyè" },
    Language { short: "", long: "kea", flores: "kea_Latn", name: "kabuverdianu" },
    Language { short: "", long: "kab", flores: "kab_Latn", name: "kabyle" },
    Language { short: "", long: "kac", flores: "kac_Latn", name: "kachin" },
    Language { short: "", long: "kam", flores: "kam_Latn", name: "kamba" },
    Language { short: "kn", long: "kan", flores: "kan_Knda", name: "kannada" },
    Language { short: "ks", long: "kas", flores: "kas_Arab", name: "kashmiri" },
    Language { short: "", long: "kas", flores: "kas_Deva", name: "kashmiri (devanagari)" },
    Language { short: "kk", long: "kaz", flores: "kaz_Cyrl", name: "kazakh" },
    Language { short: "km", long: "khm", flores: "khm_Khmr", name: "khmer" },
    Language { short: "ki", long: "kik", flores: "kik_Latn", name: "kikuyu" },
    Language { short: "", long: "kmb", flores: "kmb_Latn", name: "kimbundu" },
    Language { short: "rw", long: "kin", flores: "kin_Latn", name: "kinyarwanda" },
    Language { short: "kg", long: "kon", flores: "kon_Latn", name: "kongo" },
    Language { short: "ko", long: "kor", flores: "kor_Hang", name: "korean" },
    Language { short: "ku", long: "kmr", flores: "kmr_Latn", name: "kurdish" },
    Language { short: "ky", long: "kir", flores: "kir_Cyrl", name: "kyrgyz" },
    Language { short: "lo", long: "lao", flores: "lao_Laoo", name: "lao" },
    Language { short: "", long: "ltg", flores: "ltg_Latn", name: "latgalian" },
    Language { short: "lv", long: "lvs", flores: "lvs_Latn", name: "latvian" },
    Language { short: "", long: "lij", flores: "lij_Latn", name: "ligurian" },
    Language { short: "li", long: "lim", flores: "lim_Latn", name: "limburgish" },
    Language { short: "ln", long: "lin", flores: "lin_Latn", name: "lingala" },
    Language { short: "lt", long: "lit", flores: "lit_Latn", name: "lithuanian" },
    Language { short: "", long: "lmo", flores: "lmo_Latn", name: "lombard" },
    Language { short: "", long: "lua", flores: "lua_Latn", name: "luba-lulua" },
    Language { short: "", long: "luo", flores: "luo_Latn", name: "luo (kenya and tanzania)" },
    Language { short: "lb", long: "ltz", flores: "ltz_Latn", name: "luxembourgish" },
    Language { short: "mk", long: "mkd", flores: "mkd_Cyrl", name: "macedonian" },
    Language { short: "", long: "mag", flores: "mag_Deva", name: "magahi" },
    Language { short: "", long: "mai", flores: "mai_Deva", name: "maithili" },
    Language { short: "mg", long: "plt", flores: "plt_Latn", name: "malagasy" },
    Language { short: "ms", long: "zsm", flores: "zsm_Latn", name: "malay" },
    Language { short: "ml", long: "mal", flores: "mal_Mlym", name: "malayalam" },
    Language { short: "mt", long: "mlt", flores: "mlt_Latn", name: "maltese" },
    Language { short: "", long: "mni", flores: "mni_Beng", name: "manipuri" },
    Language { short: "mr", long: "mar", flores: "mar_Deva", name: "marathi" },
    Language { short: "", long: "acm", flores: "acm_Arab", name: "mesopotamian arabic" },
    Language { short: "", long: "min", flores: "min_Latn", name: "minangkabau" },
    Language { short: "", long: "lus", flores: "lus_Latn", name: "mizo" },
    Language { short: "mn", long: "khk", flores: "khk_Cyrl", name: "mongolian" },
    Language { short: "", long: "ary", flores: "ary_Arab", name: "moroccan arabic" },
    Language { short: "", long: "mos", flores: "mos_Latn", name: "mossi" },
    Language { short: "mi", long: "mri", flores: "mri_Latn", name: "māori" },
    Language { short: "", long: "ars", flores: "ars_Arab", name: "najdi arabic" },
    Language { short: "ne", long: "npi", flores: "npi_Deva", name: "nepali" },
    Language { short: "ff", long: "fuv", flores: "fuv_Latn", name: "nigerian fulfulde" },
    Language { short: "", long: "apc", flores: "apc_Arab", name: "north levantine arabic" },
    Language { short: "ns", long: "nso", flores: "nso_Latn", name: "northern sotho" },
    Language { short: "no", long: "nob", flores: "nob_Latn", name: "norwegian" },
    Language { short: "nn", long: "nno", flores: "nno_Latn", name: "norwegian nynorsk" },
    Language { short: "", long: "nus", flores: "nus_Latn", name: "nuer" },
    Language { short: "ny", long: "nya", flores: "nya_Latn", name: "nyanja" },
    Language { short: "oc", long: "oci", flores: "oci_Latn", name: "occitan" },
    Language { short: "or", long: "ory", flores: "ory_Orya", name: "odia" },
    Language { short: "om", long: "gaz", flores: "gaz_Latn", name: "oromo" },
    Language { short: "", long: "pag", flores: "pag_Latn", name: "pangasinan" },
    Language { short: "", long: "pap", flores: "pap_Latn", name: "papiamento" },
    Language { short: "ps", long: "pbt", flores: "pbt_Arab", name: "pashto" },
    Language { short: "fa", long: "pes", flores: "pes_Arab", name: "persian" },
    Language { short: "pl", long: "pol", flores: "pol_Latn", name: "polish" },
    Language { short: "pt", long: "por", flores: "por_Latn", name: "portuguese" },
    Language { short: "pa", long: "pan", flores: "pan_Guru", name: "punjabi" },
    Language { short: "qu", long: "quy", flores: "quy_Latn", name: "quechua" },
    Language { short: "ro", long: "ron", flores: "ron_Latn", name: "romanian" },
    Language { short: "rn", long: "run", flores: "run_Latn", name: "rundi" },
    Language { short: "ru", long: "rus", flores: "rus_Cyrl", name: "russian" },
    Language { short: "sm", long: "smo", flores: "smo_Latn", name: "samoan" },
    Language { short: "sg", long: "sag", flores: "sag_Latn", name: "sango" },
    Language { short: "sa", long: "san", flores: "san_Deva", name: "sanskrit" },
    Language { short: "", long: "sat", flores: "sat_Beng", name: "santali" },
    Language { short: "sc", long: "srd", flores: "srd_Latn", name: "sardinian" },
    Language { short: "gd", long: "gla", flores: "gla_Latn", name: "scottish gaelic" },
    Language { short: "sr", long: "srp", flores: "srp_Cyrl", name: "serbian" },
    Language { short: "", long: "shn", flores: "shn_Mymr", name: "shan" },
    Language { short: "sn", long: "sna", flores: "sna_Latn", name: "shona" },
    Language { short: "", long: "scn", flores: "scn_Latn", name: "sicilian" },
    Language { short: "", long: "szl", flores: "szl_Latn", name: "silesian" },
    Language { short: "sd", long: "snd", flores: "snd_Arab", name: "sindhi" },
    Language { short: "si", long: "sin", flores: "sin_Sinh", name: "sinhala" },
    Language { short: "sk", long: "slk", flores: "slk_Latn", name: "slovak" },
    Language { short: "sl", long: "slv", flores: "slv_Latn", name: "slovenian" },
    Language { short: "so", long: "som", flores: "som_Latn", name: "somali" },
    Language { short: "", long: "azb", flores: "azb_Arab", name: "south azerbaijani" },
    Language { short: "", long: "ajp", flores: "ajp_Arab", name: "south levantine arabic" },
    Language { short: "st", long: "sot", flores: "sot_Latn", name: "southern sotho" },
    Language { short: "", long: "dik", flores: "dik_Latn", name: "southwestern dinka" },
    Language { short: "es", long: "spa", flores: "spa_Latn", name: "spanish" },
    Language { short: "su", long: "sun", flores: "sun_Latn", name: "sundanese" },
    Language { short: "sw", long: "swh", flores: "swh_Latn", name: "swahili" },
    Language { short: "ss", long: "ssw", flores: "ssw_Latn", name: "swati" },
    Language { short: "sv", long: "swe", flores: "swe_Latn", name: "swedish" },
    Language { short: "", long: "acq", flores: "acq_Arab", name: "ta'izzi-adeni arabic" },
    Language { short: "tg", long: "tgk", flores: "tgk_Cyrl", name: "tajik" },
    Language { short: "", long: "taq", flores: "taq_Latn", name: "tamasheq (latin script)" },
    Language { short: "", long: "taq", flores: "taq_Tfng", name: "tamasheq (tifinagh)" },
    Language { short: "ta", long: "tam", flores: "tam_Taml", name: "tamil" },
    Language { short: "tt", long: "tat", flores: "tat_Cyrl", name: "tatar" },
    Language { short: "te", long: "tel", flores: "tel_Telu", name: "telugu" },
    Language { short: "th", long: "tha", flores: "tha_Thai", name: "thai" },
    Language { short: "bo", long: "bod", flores: "bod_Tibt", name: "tibetan" },
    Language { short: "ti", long: "tir", flores: "tir_Ethi", name: "tigrinya" },
    Language { short: "", long: "tpi", flores: "tpi_Latn", name: "tok pisin" },
    Language { short: "", long: "zho", flores: "zho_Hant", name: "traditional chinese" },
    Language { short: "ts", long: "tso", flores: "tso_Latn", name: "tsonga" },
    Language { short: "tn", long: "tsn", flores: "tsn_Latn", name: "tswana" },
    Language { short: "", long: "tum", flores: "tum_Latn", name: "tumbuka" },
    Language { short: "", long: "aeb", flores: "aeb_Arab", name: "tunisian arabic" },
    Language { short: "tr", long: "tur", flores: "tur_Latn", name: "turkish" },
    Language { short: "tk", long: "tuk", flores: "tuk_Latn", name: "turkmen" },
    Language { short: "tw", long: "twi", flores: "twi_Latn", name: "twi" },
    Language { short: "uk", long: "ukr", flores: "ukr_Cyrl", name: "ukrainian" },
    Language { short: "", long: "umb", flores: "umb_Latn", name: "umbundu" },
    Language { short: "ur", long: "urd", flores: "urd_Arab", name: "urdu" },
    Language { short: "ug", long: "uig", flores: "uig_Arab", name: "uyghur" },
    Language { short: "uz", long: "uzn", flores: "uzn_Latn", name: "uzbek" },
    Language { short: "", long: "vec", flores: "vec_Latn", name: "venetian" },
    Language { short: "vi", long: "vie", flores: "vie_Latn", name: "vietnamese" },
    Language { short: "", long: "war", flores: "war_Latn", name: "waray" },
    Language { short: "cy", long: "cym", flores: "cym_Latn", name: "welsh" },
    Language { short: "fy", long: "fry", flores: "", name: "western frisian" },
    Language { short: "wo", long: "wol", flores: "wol_Latn", name: "wolof" },
    Language { short: "xh", long: "xho", flores: "xho_Latn", name: "xhosa" },
    Language { short: "yi", long: "ydd", flores: "ydd_Hebr", name: "yiddish" },
    Language { short: "yo", long: "yor", flores: "yor_Latn", name: "yoruba" },
    Language { short: "zu", long: "zul", flores: "zul_Latn", name: "zulu" },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_language_has_many_codes() {
        for typed in ["fr", "fra", "fra_Latn", ">>fra<<", "FR", "french", "French", "fre"] {
            assert_eq!(find(typed).unwrap().long, "fra", "{typed}");
        }
        for (codes, expected) in [
            (&[">>eng<<", ">>fra<<"][..], ">>fra<<"),
            (&["en", "fr"], "fr"),
            (&["eng_Latn", "fra_Latn"], "fra_Latn"),
            (&["<2en>", "<2fr>"], "<2fr>"),
            (&["__en__", "__fr__"], "__fr__"),
            (&["en_XX", "fr_XX"], "fr_XX"),
        ] {
            for typed in ["fr", "fra", "fra_Latn", ">>fra<<", expected] {
                assert_eq!(among(codes, typed), Some(expected), "{typed} in {codes:?}");
            }
            assert_eq!(among(codes, "deu"), None);
        }
        assert_eq!(among(&["zho_Hans", "zho_Hant"], "zh"), Some("zho_Hans"));
        assert_eq!(among(&["zho_Hans", "zho_Hant"], "zho_Hant"), Some("zho_Hant"));
        assert_eq!(among(&["xx-own"], "xx-own"), Some("xx-own"));
    }

    #[test]
    fn what_is_not_known_has_neighbours() {
        assert!(near("frenhc").contains(&"french"));
        assert!(near("fra_Lat").contains(&"fra_Latn"));
        assert!(near("qqqqqqqq").is_empty());
    }

    #[test]
    fn no_code_is_there_twice() {
        let mut codes: Vec<&str> =
            LANGUAGES.iter().map(|one| one.flores).filter(|code| !code.is_empty()).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
