package tracking

import (
	"encoding/binary"
	"io"
	"strconv"
)

// The words of generated run names: weather, rivers and what lives there.
var adjectives = []string{
	"amber", "arctic", "brisk", "broad", "bright", "calm", "clear", "cold", "cool", "crisp", "dappled", "deep", "dewy",
	"eager", "early", "even", "fair", "fleet", "fluent", "fresh", "gentle", "glad", "golden", "grand", "green", "hazy",
	"icy", "keen", "kind", "late", "level", "light", "lively", "lucid", "mellow", "merry", "mild", "misty", "nimble",
	"noble", "pale", "placid", "proud", "pure", "quick", "quiet", "rapid", "rosy", "sandy", "serene", "silver", "sleek",
	"smooth", "snowy", "soft", "steady", "still", "sunny", "swift", "tidal", "vivid", "warm", "wide", "wild",
}

var nouns = []string{
	"alder", "bank", "basin", "bay", "beaver", "bend", "birch", "bream", "bridge", "brook", "carp", "cascade", "coot",
	"cove", "crane", "creek", "current", "dam", "delta", "dipper", "drift", "duck", "eddy", "eel", "egret", "elm",
	"falls", "fen", "ferry", "ford", "frog", "gate", "gauge", "gorge", "grebe", "gull", "heron", "inlet", "island",
	"kayak", "lagoon", "lake", "loch", "lock", "marsh", "mill", "moor", "newt", "otter", "pebble", "pike", "pond",
	"pool", "rapids", "reed", "reef", "ridge", "river", "rush", "salmon", "shoal", "sluice", "spring", "stream",
	"swan", "tarn", "tern", "tide", "trout", "vale", "wave", "weir", "willow",
}

// newRunName gives a name such as "swift-otter-512", of 20 characters at most.
func newRunName(random io.Reader) (string, error) {
	var b [12]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	pick := func(i, n int) int { return int(binary.LittleEndian.Uint32(b[i:]) % uint32(n)) }
	name := adjectives[pick(0, len(adjectives))] + "-" + nouns[pick(4, len(nouns))] + "-" + strconv.Itoa(pick(8, 1000))
	return truncate(name, 20), nil
}
