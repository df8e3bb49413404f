# Read by the scripts beside this folder: help, messages, and where the apps are.

# The comment at the top of the script, without its first line.
help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit "${2:-1}"
}

# usage LEAST MOST ARGUMENT...: help where it is asked for or the number of arguments is wrong
usage() {
    least=$1 most=$2
    shift 2
    case ${1:-} in -h | --help)
        help
        exit 0
        ;;
    esac
    if [ $# -lt "$least" ] || [ $# -gt "$most" ]; then
        help >&2
        exit 2
    fi
}

# app NAME [FOLDER]: its path, in $ATELIER_BIN if that is set, else on the PATH, else in this checkout's target folder; FOLDER
# holds its source
app() {
    script=$(readlink -f "$0")
    if [ -n "${ATELIER_BIN:-}" ]; then
        [ -x "$ATELIER_BIN/$1" ] || fail "$ATELIER_BIN/$1: there is no such program"
        printf '%s\n' "$ATELIER_BIN/$1"
        return
    fi
    # a script on the PATH may have the name of its program
    found=$(command -v "$1") && [ "$(readlink -f "$found")" != "$script" ] && printf '%s\n' "$found" && return
    for kind in release debug; do
        found=${CARGO_TARGET_DIR:-$(dirname "$script")/../target}/$kind/$1
        if [ -x "$found" ]; then
            printf '%s\n' "$found"
            return
        fi
    done
    fail "$1 is not on the PATH: cargo install --path ${2:-apps/$1}"
}
