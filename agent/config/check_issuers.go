package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

func (c checker) issuers(cfg *Config) {
	if len(cfg.Issuers) == 0 {
		c.missing("issuers", "Name at least one portal that may send requests.")
	}
	for i := range cfg.Issuers {
		path, issuer := element("issuers", i), &cfg.Issuers[i]
		c.issuer(path, issuer)
		c.containers(member(path, "scope"), issuer.Scope, cfg.Domains, listed)
		if strings.EqualFold(issuer.ResultsQueue, cfg.Relay.RequestsQueue) && issuer.ResultsQueue != "" {
			c.add(member(path, "results_queue"), "the same queue as relay.requests_queue", "Give each portal a results queue of its own, with sessions.")
		}
	}
	unique(c, "issuers", "id", cfg.Issuers, func(i Issuer) string { return i.ID })
	// Service Bus does not tell queue names apart by case.
	unique(c, "issuers", "results_queue", cfg.Issuers, func(i Issuer) string { return strings.ToLower(i.ResultsQueue) })
	c.keyOwners(cfg.Issuers)
}

func (c checker) issuer(path string, issuer *Issuer) {
	c.name(member(path, "id"), issuer.ID, issuerRule())
	if issuer.ID != "" || issuer.ResultsQueue != "" {
		c.name(member(path, "results_queue"), issuer.ResultsQueue, queueRule())
	}
	c.keys(member(path, "keys"), issuer.Keys)
	words(c, member(path, "operations"), issuer.Operations,
		writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck, writeback.OpPing)
	words(c, member(path, "actors"), issuer.Actors, writeback.ActorSelf, writeback.ActorAdmin)
	words(c, member(path, "identifiers"), issuer.Identifiers, writeback.BySID, writeback.ByGUID, writeback.ByUPN,
		writeback.BySAM, writeback.ByImmutableID, writeback.ByMail)
	c.methods(path, issuer)
	c.rate(member(path, "rate"), issuer.Rate)
	within(c, member(path, "max_auth_age"), issuer.MaxAuthAge, 0, 24*time.Hour)
	if issuer.WholeDirectory && len(issuer.Scope) > 0 {
		c.add(member(path, "whole_directory"), "contradicts scope", "Remove one of them: a portal with a scope of its own must not learn who exists outside of it.")
	}
}

// rate keeps what passes in a day, which is how long the ledger remembers, within what one is made for.
func (c checker) rate(path string, rate Rate) {
	within(c, member(path, "requests"), rate.Requests, 1, 40_000)
	within(c, member(path, "per"), rate.Per, time.Second, 24*time.Hour)
	if daily := float64(rate.Requests) * (24 * time.Hour).Hours() / rate.Per.Hours(); rate.Per > 0 && daily > 1_000_000 {
		c.add(path, "more than a million requests a day, which is more than the ledger is made for", "Allow fewer requests, or more time for them.")
	}
}

// words checks a list of known words: at least one, none twice.
func words[T ~string](c checker, path string, values []T, known ...T) {
	if len(values) == 0 {
		c.missing(path, "List at least one of: "+join(known)+".")
	}
	for i, value := range values {
		oneOf(c, element(path, i), value, known...)
	}
	unique(c, path, "", values, func(v T) string { return string(v) })
}

func (c checker) methods(path string, issuer *Issuer) {
	required, allowed := member(path, "require_methods"), member(path, "allowed_methods")
	within(c, required, issuer.RequireMethods, 0, 5)
	for i, method := range issuer.AllowedMethods {
		c.name(element(allowed, i), method, methodRule())
	}
	unique(c, allowed, "", issuer.AllowedMethods, strings.ToLower)
	if n := len(issuer.AllowedMethods); n > 0 && n < issuer.RequireMethods {
		c.add(required, "more methods than allowed_methods lists", fmt.Sprintf("Use at most %d, or allow more methods.", n))
	}
}

// keys checks that the files are there; what they hold, and whether a portal without any has keys pinned by command, is for others to judge.
func (c checker) keys(path string, keys []string) {
	for i := range keys {
		if keys[i] == "" {
			c.missing(element(path, i), "Write a path or remove the line.")
			continue
		}
		c.resolve(&keys[i])
		_, err := readBounded(keys[i], maxKeySize, worldWritable)
		c.file(element(path, i), keys[i], "the key file", err)
	}
}

// keyOwners reports key files that are named twice, also under different names: a key that belongs to two issuers would let
// one speak for the other.
func (c checker) keyOwners(issuers []Issuer) {
	type owned struct {
		path string
		info os.FileInfo
	}
	var seen []owned
	for i, issuer := range issuers {
	keys:
		for k, file := range issuer.Keys {
			path := element(member(element("issuers", i), "keys"), k)
			info, err := os.Stat(file)
			if err != nil {
				continue
			}
			for _, earlier := range seen {
				if os.SameFile(earlier.info, info) {
					c.add(path, "the same file as "+earlier.path, "Give each issuer key files of its own.")
					continue keys
				}
			}
			seen = append(seen, owned{path, info})
		}
	}
}
