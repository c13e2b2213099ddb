// SPDX-License-Identifier: MIT
// A module for clang-tidy, which else looks for each check's matches in every header of the system
// too, and drops what it finds there: three quarters of its time. This "check" comes first in a
// unit and leaves the unit's own declarations to the others.
#include <clang-tidy/ClangTidyCheck.h>
#include <clang-tidy/ClangTidyModule.h>
#include <clang-tidy/ClangTidyModuleRegistry.h>
#include <clang/AST/ASTContext.h>
#include <clang/ASTMatchers/ASTMatchFinder.h>
#include <vector>

namespace {

using clang::ast_matchers::MatchFinder;

class own_code_check : public clang::tidy::ClangTidyCheck {
public:
    using ClangTidyCheck::ClangTidyCheck;

    void registerMatchers(MatchFinder *finder) override {
        finder->addMatcher(clang::ast_matchers::translationUnitDecl(), this);
    }

    // Called for the unit before its declarations are looked at, which reads the scope anew
    // (RecursiveASTVisitor's traversal of a TranslationUnitDecl).
    void check(const MatchFinder::MatchResult &result) override {
        std::vector<clang::Decl *> own;
        // A precompiled header's declarations are not loaded: none of them is of this project.
        for (clang::Decl *each : result.Context->getTranslationUnitDecl()->noload_decls()) {
            const clang::SourceLocation place = each->getLocation();
            if (place.isValid() && !result.SourceManager->isInSystemHeader(place))
                own.push_back(each);
        }
        result.Context->setTraversalScope(own);
    }
};

class own_code_module : public clang::tidy::ClangTidyModule {
public:
    void addCheckFactories(clang::tidy::ClangTidyCheckFactories &factories) override {
        factories.registerCheck<own_code_check>("zbq-own-code");
    }
};

const clang::tidy::ClangTidyModuleRegistry::Add<own_code_module> added{"zbq", "own code alone"};

} // namespace
