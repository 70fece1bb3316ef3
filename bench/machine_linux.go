package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// allowedCPUs returns the CPUs that this process may run on.
func allowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}

// onCPU runs f on a thread of its own that may use that CPU only, and waits for it. Processes that f
// starts inherit this. A negative cpu means any.
func onCPU(cpu int, f func() error) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if cpu >= 0 {
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				ended <- fmt.Errorf("pin to CPU %d: %w", cpu, err)
				return
			}
		}
		ended <- f()
	}()
	return <-ended
}

// cpuTime returns the CPU time that a process has used, user and system.
func cpuTime(pid int) (time.Duration, error) {
	// The kernel's clock of another process, as clock_getcpuclockid(3) makes it: /proc/<pid>/stat counts
	// in hundredths of a second.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil { //nolint:gosec // a clock's id
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// ownCPUTime returns the CPU time that this process has used.
func ownCPUTime() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// threadCPUTime returns the CPU time of the thread that calls it.
func threadCPUTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// resident returns the bytes of a process that are in memory.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, fmt.Errorf("memory of process %d: cannot read %q", pid, b)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// raiseFiles raises this process's limit of open files as far as it may, and refuses what is more.
// Child processes get the same limit.
func raiseFiles(want int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("limit of open files: %w", err)
		}
	}
	if uint64(want) > limit.Cur { //nolint:gosec // a count
		return fmt.Errorf("%d open files wanted, the hard limit is %d: use fewer clients, or raise it (ulimit -Hn)", want, limit.Cur)
	}
	return nil
}

// confine lets all threads of this process use one CPU only, until the returned function is called. A
// negative cpu means any.
func confine(cpu int) (release func(), err error) {
	if cpu < 0 {
		return func() {}, nil
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &before); err != nil {
		return nil, fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	set.Set(cpu)
	if err := pinThreads(&set); err != nil {
		return nil, fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return func() { _ = pinThreads(&before) }, nil
}

// pinThreads sets the CPUs of all threads; one that they start meanwhile inherits them.
func pinThreads(set *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err //nolint:wrapcheck // confine wraps it
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
			return err //nolint:wrapcheck // confine wraps it
		}
	}
	return nil
}
