package status_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

func newCounters() *status.Counters {
	return status.NewCounters(func() time.Time { return at(12, 0, 0).In(time.FixedZone("", 3600)) })
}

func TestCounters(t *testing.T) {
	counters := newCounters()
	counters.Finished(writeback.OpReset, "portal", writeback.Answer(writeback.ReasonOK, writeback.Detail{}), time.Second)
	counters.Finished(writeback.OpPing, "portal", writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK}, time.Millisecond)
	counters.Finished(writeback.OpUnlock, "kiosk", writeback.Answer(writeback.UserDisabled, writeback.Detail{}), 1999*time.Microsecond)
	counters.Discarded(writeback.EnvelopeBadSignature)
	counters.Discarded(writeback.EnvelopeBadSignature)
	var got status.Report
	counters.Fill(&got)
	want := status.Report{
		Reasons:   map[writeback.Reason]uint64{writeback.ReasonOK: 2, writeback.UserDisabled: 1},
		Discarded: map[writeback.Reason]uint64{writeback.EnvelopeBadSignature: 2},
		Last: &status.Request{
			At: at(12, 0, 0), Operation: writeback.OpUnlock, Issuer: "kiosk", Verdict: writeback.NotWritten,
			Reason: writeback.UserDisabled, Milliseconds: 1,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestNoRequestYet(t *testing.T) {
	report := healthy()
	newCounters().Fill(&report)
	if report.Last != nil || len(report.Reasons) != 0 {
		t.Errorf("last = %v, reasons = %v", report.Last, report.Reasons)
	}
}

func TestCountersDoNotGrowWithWhatTheyAreTold(t *testing.T) {
	counters := newCounters()
	for i := range 1000 {
		counters.Finished(writeback.OpReset, "portal", writeback.Outcome{Reason: writeback.Reason(fmt.Sprint("made.up.", i))}, 0)
		counters.Discarded(writeback.Reason(fmt.Sprint("made.up.", i)))
	}
	var got status.Report
	counters.Fill(&got)
	want := map[writeback.Reason]uint64{writeback.AgentInternal: 1000}
	if diff := cmp.Diff(want, got.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.Discarded); diff != "" {
		t.Errorf("discarded (-want +got):\n%s", diff)
	}
}

func TestAFilledReportDoesNotChangeAnyMore(t *testing.T) {
	counters := newCounters()
	ok := writeback.Answer(writeback.ReasonOK, writeback.Detail{})
	counters.Finished(writeback.OpReset, "portal", ok, 0)
	var report status.Report
	counters.Fill(&report)
	counters.Finished(writeback.OpUnlock, "portal", ok, 0)
	report.Last.Issuer = "changed by the reader"
	if report.Reasons[writeback.ReasonOK] != 1 || report.Last.Operation != writeback.OpReset {
		t.Errorf("report = %+v", report)
	}
}

func TestCountersUnderLoad(t *testing.T) {
	counters := newCounters()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 250 {
				counters.Finished(writeback.OpPing, "portal", writeback.Outcome{Reason: writeback.ReasonOK}, 0)
				counters.Fill(&status.Report{})
			}
		})
	}
	all.Wait()
	var got status.Report
	counters.Fill(&got)
	if got.Reasons[writeback.ReasonOK] != 2000 {
		t.Errorf("counted %d of 2000", got.Reasons[writeback.ReasonOK])
	}
}
