#!/bin/sh
# Makes the training and test data of a small English speech recogniser.
#
#   scripts/train/speech_data.sh FSDD/ FRA-ENG.ZIP OUT/
#
# FSDD/        the Free Spoken Digit Dataset: recordings named DIGIT_SPEAKER_NUMBER.wav
# FRA-ENG.ZIP  Tatoeba's English-French sentence pairs, as manythings.org passes them on; only the English is read aloud
# OUT/         gets train.tsv, test-seen.tsv, test-unseen.tsv, a digits-SPEAKER.tsv for each speaker of FSDD, and the
#              clips (16 kHz, mono, 16 bit); a run that was cut off goes on from there
#
# A line of a TSV is the path of a clip, from the TSV's folder on, a tab, and what is said in it. While the clips are
# made, ready.tsv has the lines of train.tsv that are there so far. Every twelve lines of either have all the voices.
#
# test-seen has sentences that no training clip has, in the training voices; test-unseen has others again, in the voice
# rms, which no training clip has. The clips of FSDD stay where they are, at 8 kHz: the reader resamples them.
#
# Half an hour or so on two cores, and 2 GB. Needs unzip, sox and Debian's free synthesisers:
#   apt-get install unzip sox flite espeak-ng festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts
set -eu
export LC_ALL=C
tab=$(printf '\t')

# speak PLAN DONE: makes the clips of a plan, and writes the TSV lines of the good ones to DONE
speak() {
    work=$2.work
    mkdir -p "$work"
    # festival takes long to start: one process reads all its sentences of the plan
    cat > "$work/say.scm" <<'SCHEME'
(defvar hts_engine_params nil)
(define (say voice stretch pitch file text)
  (voice)
  (Parameter.set 'Duration_Stretch stretch)
  (set! int_lr_params (list (list 'target_f0_mean pitch) '(target_f0_std 14) '(model_f0_mean 170) '(model_f0_std 34)))
  (set! hts_engine_params (append hts_engine_params (list (list "-r" (/ 1 stretch)))))
  (utt.save.wave (utt.synth (eval (list 'Utterance 'Text text))) file 'riff))
SCHEME
    awk -F '\t' -v work="$work" '$2 == "festival" {
        if ((getline line < $1) < 0) printf "(say voice_%s %s %s \"%s/%d.wav\" \"%s\")\n", $3, $4, $5, work, NR, $6
        close($1)
    }' "$1" >> "$work/say.scm"
    festival -b "$work/say.scm"
    number=0
    while IFS=$tab read -r clip program voice rate pitch spoken text; do
        number=$((number + 1))
        if [ ! -e "$clip" ]; then
            raw=$work/$number.wav new=$work/new.wav
            case $program in
                flite) flite -voice "$voice" --setf duration_stretch="$rate" --setf int_f0_target_mean="$pitch" \
                    -t "$spoken" "$raw" ;;
                espeak) espeak-ng -v "$voice" -s "$rate" -p "$pitch" -w "$raw" "$spoken" ;;
            esac
            # a change of the sample rate can push peaks over the top, so less loud; dither would be noise
            sox -D -v 0.9 "$raw" -r 16000 -c 1 -b 16 "$new"
            rm "$raw"
            mv "$new" "$clip"
        fi
        # a clip that is silent, cut short or very long teaches nothing
        sox "$clip" -n stat 2>&1 | awk -v line="$clip$tab$text" '
            /^Length/ { seconds = $3 } /^RMS +amplitude/ { rms = $3 }
            END { if (seconds >= 0.3 && seconds <= 9 && rms >= 0.005) print line }'
    done < "$1" > "$work/lines"
    mv "$work/lines" "$2"
    rm -r "$work"
}

# the script calls itself, once for each part of the plan, to use every core
if [ $# -eq 3 ] && [ "$1" = --part ]; then
    cd "$2"
    [ -e "done/$3" ] || speak "plan/$3" "done/$3"
    case $3 in
        train-*) cat done/train-*.tsv > "ready.$$" && mv "ready.$$" ready.tsv ;;
    esac
    exit
fi

if [ $# -ne 3 ]; then
    sed -n '2,18s/^# \{0,1\}//p' "$0"
    exit 2
fi
zip=$2 out=$3
fsdd=$(cd "$1" && pwd)
mkdir -p "$out/plan" "$out/done" "$out/clips"

find "$fsdd" -name '[0-9]_*_*.wav' | sort | awk -F / -v out="$out" '{
    split($NF, name, "_")
    print $0 "\t" name[1] > (out "/digits-" name[2] ".tsv")
}'

# the same numbers on every machine, which awk's own rand() does not promise
random='function random(n) { seed = seed * 16807 % 2147483647; return int(seed / 7) % n }'

unzip -p "$zip" fra.txt '*/fra.txt' 2> "$out/unzip.log" | tr -d '\r' | cut -f 1 > "$out/english.txt" || true
[ -s "$out/english.txt" ] || { cat "$out/unzip.log"; exit 1; }
rm "$out/unzip.log"

tr 'A-Z' 'a-z' < "$out/english.txt" | tr -cs "a-z'" '\n' \
    | awk 'NF { count[$0]++ } END { for (word in count) print count[word] "\t" word }' \
    | sort -k 1,1nr -k 2,2 | head -n 2000 | cut -f 2 > "$out/words.txt"

# sentences of 2 to 12 of these words, each once whatever its case and its marks, in a random order
awk -v seed=20190407 "$random"'
    NR == FNR { frequent[$0] = 1; next }
    !/^[A-Za-z ,.?!\047]+$/ || /[,.?!][^ ]/ || /(^|[^A-Za-z])\047|\047([^A-Za-z]|$)/ { next }
    {
        folded = tolower($0)
        gsub(/[,.?!]/, "", folded)
        n = split(folded, word, " ")
        if (n < 2 || n > 12) next
        for (i = 1; i <= n; i++) if (!(word[i] in frequent)) next
        gsub(/\047/, "", folded)
        if (!(folded in seen)) printf "%07d\t%s\n", random(10000000), $0
        seen[folded] = 1
    }' "$out/words.txt" "$out/english.txt" | sort | cut -f 2 > "$out/sentences.txt"
echo "$(wc -l < "$out/sentences.txt") sentences of the 2,000 most frequent words, of which 28,100 are read"

# Parts of 120 clips: path, program, voice, rate, pitch, what is read, what the TSV says. Half is flite's, a quarter
# espeak's, a quarter festival's; a twelfth of the training clips are digits, in each voice in turn.
awk -v seed=20190408 -v out="$out" "$random"'
    function pick(list, items, n) { n = split(list, items, " "); return items[1 + random(n)] }
    function sentence() { if ((getline spoken) < 1) { print "too few sentences"; exit 1 }; text = spoken }
    function digits(n, pauses, i, digit) {
        n = 1 + random(8)
        pauses = pick("0 0 30 100")
        spoken = text = ""
        for (i = 1; i <= n; i++) {
            digit = random(10)
            spoken = spoken (i == 1 ? "" : random(100) < pauses ? ", " : " ") name[digit + 1]
            text = text (i == 1 ? "" : " ") digit
        }
    }
    function plan(set, count, fixed, i, clip, program, voice, rate, pitch) {
        for (i = 0; i < count; i++) {
            if (set == "train" && i % 12 == int(i / 12) % 12) digits(); else sentence()
            voice = fixed == "" ? order[i % 12 + 1] : fixed
            rate = (85 + random(36)) / 100
            program = voice ~ /_/ ? "festival" : "flite"
            if (voice == "slt") pitch = 145 + random(56)
            else if (voice == "awb") pitch = 105 + random(46)
            else if (voice == "kal16") pitch = 80 + random(31)
            else if (program == "festival") pitch = 90 + random(41)
            else pitch = 100 # rms keeps to its own
            if (voice == "espeak") {
                # British English is "en" here: under "en-gb" espeak-ng leaves the variant out
                program = voice
                voice = pick("en-us en en-gb-x-rp en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc") \
                    "+" pick("m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 f5")
                rate = 120 + random(71)
                pitch = 20 + random(61)
            }
            clip = sprintf("clips/%s%s/%05d.wav", set, set == "train" ? sprintf("-%02d", i / 1000) : "", i)
            if (i % 120 == 0) part = sprintf("%s/plan/%s-%03d.tsv", out, set, i / 120)
            print clip "\t" program "\t" voice "\t" rate "\t" pitch "\t" spoken "\t" text > part
            if (i % 120 == 119) close(part)
        }
    }
    BEGIN {
        split("zero one two three four five six seven eight nine", name, " ")
        split("slt espeak awb kal_diphone kal16 espeak" \
            " slt ked_diphone awb espeak kal16 cmu_us_slt_arctic_hts", order, " ")
        plan("test-seen", 300)
        plan("test-unseen", 300, "rms")
        plan("train", 30000)
    }' "$out/sentences.txt"

cut -d / -f 2 "$out"/plan/*.tsv | sort -u | (cd "$out/clips" && xargs mkdir -p)
for set in test-seen test-unseen train; do
    (cd "$out/plan" && ls "$set"-*.tsv)
done | xargs -n 1 -P "$(nproc)" sh "$0" --part "$out"
for set in test-seen test-unseen train; do
    cat "$out/done/$set"-*.tsv > "$out/$set.new"
    mv "$out/$set.new" "$out/$set.tsv"
done
wc -l "$out"/*.tsv
