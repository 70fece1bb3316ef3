// Package shelldoc runs the shell lines that a Markdown document prints, and holds what they print against the
// output printed below them: what a reader copies is what is tested.
//
// A fenced block of the language sh is run, unless `<!-- not run: why -->` stands above it. A block of the
// language text or json that follows it, with nothing between but empty lines, is its output: there, … stands
// for anything. All blocks of a document run in order, in one bash that stops at the first failure, so that
// they may share variables.
//
// Main path: [Read] the document, [Run] its blocks, [Block.Check] what each has printed.
package shelldoc

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Block is a block of shell lines.
type Block struct {
	// Line is where the block begins in the document.
	Line int
	Code string
	// Output is what the document says that it prints; HasOutput tells none from nothing.
	Output    string
	HasOutput bool
}

// Read returns the blocks of a document that are to be run.
func Read(path string) ([]Block, error) {
	in, err := os.Open(path) //nolint:gosec // for tests
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // only read from
	var (
		blocks []Block
		above  string // the last line that is not empty
		last   *Block // the block whose output may follow
		text   []string
		fence  string // "" outside of a block, else its language
		inside bool
		begin  int
	)
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		language, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			inside, fence, begin, text = true, language, n, nil
			if fence == "sh" && strings.HasPrefix(above, "<!-- not run: ") {
				fence = "not run"
			}
		case isFence:
			body := strings.Join(text, "\n")
			switch {
			case fence == "sh":
				blocks = append(blocks, Block{Line: begin, Code: body})
				last = &blocks[len(blocks)-1]
			case (fence == "text" || fence == "json") && last != nil:
				last.Output, last.HasOutput, last = body, true, nil
			default:
				last = nil
			}
			inside, above = false, ""
		case inside:
			text = append(text, line)
		case strings.TrimSpace(line) != "":
			above, last = line, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if inside {
		return nil, fmt.Errorf("%s:%d: the block has no end", path, begin)
	}
	return blocks, nil
}

// Check holds what the block has printed against the document: "" when it is that, else what is wrong. Space at
// the ends of lines, and empty lines at both ends, do not count.
func (b Block) Check(got string) string {
	if !b.HasOutput {
		return ""
	}
	want := trimLines(b.Output)
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*?")
	if regexp.MustCompile(`(?s)\A` + pattern + `\z`).MatchString(trimLines(got)) {
		return ""
	}
	return fmt.Sprintf("it prints\n%s\nand not\n%s", trimLines(got), want)
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
