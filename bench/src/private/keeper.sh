# Ends a private server and removes its folder when standard input closes: that is when the one who
# started it drops it or is gone itself, killed perhaps. The file `processes` names the server, and
# after it those of its processes that were stopped.
folder="$1" signal="$2"
# One that has ended may wait for its parent to notice; that is no life.
lives() { read -r stat <"/proc/$server/stat" && case "$stat" in *') Z '*) false ;; esac; }

cat >/dev/null
if read -r server stopped <"$folder/processes"; then
    kill -s "$signal" "$server"
    # shellcheck disable=SC2086 # several numbers
    kill -s CONT $stopped "$server"
    left=200
    while lives && [ "$left" -gt 0 ]; do
        left=$((left - 1))
        sleep 0.05
    done
    kill -s KILL "$server"
fi
rm -rf "$folder" || { sleep 1 && rm -rf "$folder"; }
